<#
.SYNOPSIS
Offers a scanner's finished slides to the server, and deletes those that the server says it has stored.

.DESCRIPTION
For Windows PowerShell 5.1 and PowerShell 7, started every minute by the task that Install-ImportSlideTask.ps1
registers. Its twin import_slide.py has the same options, log lines and state file, and is tested end to end.
How to set it up, and what the log says: docs/scanner.md.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)] [string] $Folder,
    [Parameter(Mandatory = $true)] [uri] $Url,
    [uri] $TokenUrl,
    [string] $ClientId,
    [string] $SecretFile,
    [string] $Scope = 'vsv/import',
    [string] $State = "$env:ProgramData\VirtualSlideViewer\Scanner",
    [string[]] $Extension = @('.svs'),
    [double] $MinimumAge = 30,
    [double] $Timeout = 40,
    [uri] $Proxy,
    [switch] $Keep,
    [switch] $NoSha256,
    [switch] $AllowHttp
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$LogFile = Join-Path $State 'import_slide.log'
$StateFile = Join-Path $State 'state.json'
$Aside = '.confirmed'  # what a file is called from the server's word that it is stored until it is gone
$Utf8 = New-Object System.Text.UTF8Encoding $false
$Token = $null
$Known = New-Object 'System.Collections.Generic.Dictionary[string,object]' ([StringComparer]::Ordinal)

function Write-Line([string] $Word, [string] $About, [string] $Text) {
    $time = [DateTime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ', [Globalization.CultureInfo]::InvariantCulture)
    $line = "$time ${Word}: ${About}: $Text" -replace '[\x00-\x1f\x7f\x85\u2028\u2029]', '?'
    try { [IO.File]::AppendAllText($LogFile, "$line`r`n", $Utf8) } catch { Write-Warning $line }
    Write-Verbose $line
}

function Get-Reason($Problem) { return $Problem.Exception.GetBaseException().Message }

function Get-Value($Object, [string] $Name) {
    # One member of a JSON object; null where there is none, whatever the object is.
    if ($Object -isnot [Management.Automation.PSCustomObject]) { return $null }
    $property = $Object.PSObject.Properties[$Name]
    if ($null -eq $property) { return $null }
    return , $property.Value
}

function Read-State {
    # A cache: losing it costs time, and nothing else.
    try {
        $found = [IO.File]::ReadAllText($StateFile) | ConvertFrom-Json
        foreach ($entry in $found.files) {
            if ($entry.sha256 -match '^[0-9a-f]{64}$' -or $entry.confirmed) { $Known[$entry.name] = $entry }
        }
        $script:Token = $found.token
    } catch { Write-Verbose 'The state begins afresh.' }
}

function Write-State {
    try {
        $content = @{ token = $Token; files = @($Known.Values) } | ConvertTo-Json -Depth 4 -Compress
        [IO.File]::WriteAllText("$StateFile.new", $content, $Utf8)
        Move-Item -LiteralPath "$StateFile.new" -Destination $StateFile -Force
    } catch { Write-Line 'error' 'the state cannot be kept' (Get-Reason $_) }
}

function Get-Entry([IO.FileInfo] $File) {
    # What is known of a file that is still the same.
    if (-not $Known.ContainsKey($File.Name)) { return $null }
    $entry = $Known[$File.Name]
    if ($entry.size -eq $File.Length -and $entry.modified -eq "$($File.LastWriteTimeUtc.Ticks)") { return $entry }
    return $null
}

function Set-Entry([IO.FileInfo] $File, [string] $Sha256, [bool] $Confirmed) {
    $Known[$File.Name] = [pscustomobject]@{ name = $File.Name; size = $File.Length; sha256 = $Sha256
        modified = "$($File.LastWriteTimeUtc.Ticks)"; confirmed = $Confirmed }
    Write-State
}

function Test-InUse($Problem) {
    return $Problem.Exception.GetBaseException().HResult -eq -2147024864  # ERROR_SHARING_VIOLATION
}

function Open-ForReading([string] $Path) {
    # Refused while a program has the file open for writing, and refuses others that right meanwhile.
    return New-Object IO.FileStream $Path, ([IO.FileMode]::Open), ([IO.FileAccess]::Read), ([IO.FileShare]::Read), 1048576
}

function Test-WrittenTo([string] $Path) {
    try { (Open-ForReading $Path).Dispose() } catch {
        if (Test-InUse $_) { return $true }
        throw
    }
    return $false
}

function Get-Sha256([string] $Path) {
    $stream = Open-ForReading $Path
    try { return (Get-FileHash -InputStream $stream -Algorithm SHA256).Hash.ToLowerInvariant() } finally { $stream.Dispose() }
}

function Send-Post([uri] $Address, [string] $Body, [string] $ContentType, [string] $Authorization) {
    # Status and, where the answer is a JSON object, that object. Throws where there is no whole answer in time.
    $request = New-Object Net.Http.HttpRequestMessage ([Net.Http.HttpMethod]::Post), $Address
    $request.Content = New-Object Net.Http.ByteArrayContent (, $Utf8.GetBytes($Body))
    [void] $request.Content.Headers.TryAddWithoutValidation('Content-Type', $ContentType)
    if ($Authorization) { [void] $request.Headers.TryAddWithoutValidation('Authorization', $Authorization) }
    $sending = $Client.SendAsync($request)
    if (-not $sending.Wait([int] ($Timeout * 1000))) {
        $Client.CancelPendingRequests()
        throw "nothing whole within $Timeout s"
    }
    $response = $sending.Result
    try {
        $object = $null
        $text = $Utf8.GetString($response.Content.ReadAsByteArrayAsync().Result)
        # An object alone: PowerShell 7 would take a list of one for what is in it.
        if ($text -match '^\s*\{') { try { $object = ConvertFrom-Json $text } catch { Write-Verbose 'No JSON.' } }
        return [pscustomobject]@{ Status = [int] $response.StatusCode; Body = $object }
    } finally { $response.Dispose() }
}

function Get-Said($Answer) {
    foreach ($name in 'error', 'state', 'message') {
        $said = "$(Get-Value $Answer.Body $name)"
        if ($said) { return $said.Substring(0, [Math]::Min(300, $said.Length)) }
    }
    return 'no reason given'
}

function Test-Token($Value) { return $Value -is [string] -and $Value -cmatch '\A[\x21-\x7e]{1,8192}\z' }

function Get-Token {
    $purpose = "$TokenUrl $ClientId $Scope"
    $now = [DateTimeOffset]::UtcNow.ToUnixTimeSeconds()
    $expires = Get-Value $Token 'expires'
    if ($expires -is [int] -or $expires -is [long]) {
        $fresh = $expires - $now -gt 120 -and $expires - $now -le 86400
        $value = Get-Value $Token 'value'
        if ($fresh -and (Get-Value $Token 'for') -ceq $purpose -and (Test-Token $value)) { return $value }
    }
    $sealed = [IO.File]::ReadAllBytes($SecretFile)
    $secret = $Utf8.GetString([Security.Cryptography.ProtectedData]::Unprotect($sealed, $null, 'LocalMachine'))
    $basic = [Convert]::ToBase64String($Utf8.GetBytes("${ClientId}:$secret"))
    $form = "grant_type=client_credentials&scope=$([uri]::EscapeDataString($Scope))"
    $answer = Send-Post $TokenUrl $form 'application/x-www-form-urlencoded' "Basic $basic"
    $value = Get-Value $answer.Body 'access_token'
    if ($answer.Status -ne 200 -or -not (Test-Token $value)) {
        throw "no token ($($answer.Status)): $(Get-Said $answer)"
    }
    $lifetime = Get-Value $answer.Body 'expires_in'
    if (($lifetime -isnot [int] -and $lifetime -isnot [long]) -or $lifetime -gt 86400) { $lifetime = 0 }
    $script:Token = [pscustomobject]@{ for = $purpose; value = $value; expires = $now + $lifetime }
    Write-State
    return $value
}

function Send-Offer([string] $Body) {
    if (-not $TokenUrl) { return Send-Post $Url $Body 'application/json' '' }
    $answer = Send-Post $Url $Body 'application/json' "Bearer $(Get-Token)"
    if ($answer.Status -eq 401) {
        $script:Token = $null  # renewed once
        $answer = Send-Post $Url $Body 'application/json' "Bearer $(Get-Token)"
    }
    return $answer
}

function Test-Confirmed($Answer, [IO.FileInfo] $File, [string] $Sha256) {
    # Does the server say, of exactly this file, that it is stored?
    $name = Get-Value $Answer.Body 'filename'
    $size = Get-Value $Answer.Body 'size'
    $sum = Get-Value $Answer.Body 'sha256'
    return $Answer.Status -eq 200 -and
        $name -is [string] -and [string]::Equals($name, $File.Name, [StringComparison]::Ordinal) -and
        ($size -is [int] -or $size -is [long]) -and $size -eq $File.Length -and
        (-not $Sha256 -or ($sum -is [string] -and [string]::Equals($sum, $Sha256, [StringComparison]::Ordinal)))
}

function Test-Same([IO.FileInfo] $File, [string] $Path) {
    $now = New-Object IO.FileInfo $Path
    return $now.Exists -and $now.Length -eq $File.Length -and $now.LastWriteTimeUtc -eq $File.LastWriteTimeUtc
}

function Send-Slide([IO.FileInfo] $File) {
    $about = "$($File.Name) ($($File.Length) bytes)"
    $age = ([DateTime]::UtcNow - $File.LastWriteTimeUtc).TotalSeconds
    if ([Math]::Abs($age) -lt $MinimumAge) { return Write-Line 'young' $about "written to $([int] $age) s ago" }
    if (Test-WrittenTo $File.FullName) { return Write-Line 'busy' $about 'a program has it open for writing' }
    $body = [ordered]@{ filename = $File.Name; size = $File.Length }
    $sha256 = ''
    if (-not $NoSha256) {
        $entry = Get-Entry $File
        if ($null -eq $entry -or -not $entry.sha256) {
            Set-Entry $File (Get-Sha256 $File.FullName) $false
            $entry = $Known[$File.Name]
        }
        $sha256 = $entry.sha256
        $body.sha256 = $sha256
        if (-not (Test-Same $File $File.FullName)) { return Write-Line 'changed' $about 'while it was read' }
    }
    try { $answer = Send-Offer (ConvertTo-Json $body -Compress) } catch { return Write-Line 'later' $about "no answer: $(Get-Reason $_)" }
    $status = $answer.Status
    $said = Get-Said $answer
    if ($status -eq 202) { return Write-Line 'waiting' $about $said }
    if ($status -eq 422) { return Write-Line 'failed' $about $said }
    if ($status -ge 300 -and $status -lt 400) { return Write-Line 'later' $about "$status, a redirect: is the address right?" }
    if ($status -ge 400 -and $status -lt 500 -and @(401, 403, 408, 429) -notcontains $status) { return Write-Line 'refused' $about "${status}: $said" }
    if ($status -ne 200) { return Write-Line 'later' $about "${status}: $said" }
    if (-not (Test-Confirmed $answer $File $sha256)) { return Write-Line 'later' $about '200, but the answer does not name this file and its size' }
    if ($null -ne (Get-Value $answer.Body 'files')) {
        # All of its files would have to go, and none that has changed: that is left to a person.
        return Write-Line 'kept' $about 'stored by the server; it has several files, which are not deleted here'
    }
    if ($Keep) {
        Set-Entry $File $sha256 $true
        return Write-Line 'kept' $about 'stored by the server; not deleted, as asked'
    }
    Remove-Confirmed $File $sha256 $about
}

function Remove-Confirmed([IO.FileInfo] $File, [string] $Sha256, [string] $About) {
    # Read once more: the bytes that go are the bytes that the server named, whatever the state file said.
    if (-not (Test-Same $File $File.FullName) -or ($Sha256 -and (Get-Sha256 $File.FullName) -cne $Sha256)) {
        [void] $Known.Remove($File.Name)
        return Write-Line 'changed' $About 'since it was offered'
    }
    $moved = $File.FullName + $Aside
    if (Test-Path -LiteralPath $moved) { return Write-Line 'later' $About "$($File.Name)$Aside of an earlier run is still here" }
    # Renamed first: what another program may write under its name from then on is another file.
    [IO.File]::Move($File.FullName, $moved)
    if (Test-Same $File $moved) {
        Remove-Item -LiteralPath $moved
        return Write-Line 'deleted' $About 'stored by the server'
    }
    [IO.File]::Move($moved, $File.FullName)  # never replaces; where it fails, the next run puts it back
    Write-Line 'changed' $About 'since it was offered'
}

function Restore-Aside {
    # Undo what a run that was killed had begun.
    foreach ($file in @(Get-ChildItem -LiteralPath $Folder -Filter "*$Aside" -File -ErrorAction SilentlyContinue)) {
        $original = New-Object IO.FileInfo ($file.FullName.Substring(0, $file.FullName.Length - $Aside.Length))
        if ($file.Extension -ne $Aside -or $Extensions -notcontains $original.Extension) { continue }
        if ($original.Exists) { Write-Line 'later' $file.Name "it gets its name back when $($original.Name) is gone"; continue }
        try {
            [IO.File]::Move($file.FullName, $original.FullName)
            Write-Line 'changed' $file.Name 'it has its own name back and is offered again'
        } catch { Write-Line 'error' $file.Name (Get-Reason $_) }
    }
}

function Send-AllSlides {
    Restore-Aside
    $unlisted = @()
    $files = @(Get-ChildItem -LiteralPath $Folder -File -ErrorAction SilentlyContinue -ErrorVariable unlisted |
            Where-Object { $Extensions -contains $_.Extension } | Sort-Object -Property LastWriteTimeUtc)
    foreach ($problem in $unlisted) { Write-Line 'error' 'a file cannot be listed' (Get-Reason $problem) }
    $names = New-Object 'System.Collections.Generic.HashSet[string]' ([StringComparer]::Ordinal)
    foreach ($file in $files) { [void] $names.Add($file.Name) }
    foreach ($name in @($Known.Keys)) { if (-not $names.Contains($name)) { [void] $Known.Remove($name) } }
    foreach ($file in $files) {
        try {
            $file.Refresh()  # a folder's own list is late with the size of a file that is being written
            $entry = Get-Entry $file
            if ($Keep -and $null -ne $entry -and $entry.confirmed) { continue }
            Send-Slide $file
        } catch { Write-Line 'error' $file.Name (Get-Reason $_) }
    }
    Write-State
}

function Assert-Settings {
    foreach ($address in @($Url, $TokenUrl) | Where-Object { $_ }) {
        $allowed = $address.IsAbsoluteUri -and ($address.Scheme -eq 'https' -or ($address.Scheme -eq 'http' -and ($address.IsLoopback -or $AllowHttp)))
        if (-not $allowed) { throw "$address must begin with https://: an answer decides whether a slide is deleted" }
    }
    foreach ($needed in $Folder, $State) {
        if (-not (Test-Path -LiteralPath $needed -PathType Container)) { throw "there is no folder $needed" }
    }
    if ($TokenUrl -and -not $ClientId) { throw '-TokenUrl needs -ClientId' }
    if ($TokenUrl -and -not ($SecretFile -and (Test-Path -LiteralPath $SecretFile))) { throw 'the client secret is missing: -SecretFile' }
}

function New-Client {
    foreach ($assembly in 'System.Net.Http', 'System.Security', 'System.Security.Cryptography.ProtectedData') {
        try { Add-Type -AssemblyName $assembly } catch { Write-Verbose "$assembly is part of another assembly here." }
    }
    if ($PSVersionTable.PSVersion.Major -lt 6) {
        [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
        [Net.ServicePointManager]::Expect100Continue = $false
    }
    $handler = New-Object Net.Http.HttpClientHandler
    $handler.AllowAutoRedirect = $false  # a token must not go where an answer says
    if ($Proxy) {
        $webProxy = New-Object Net.WebProxy $Proxy
        $webProxy.UseDefaultCredentials = $true
        $handler.Proxy = $webProxy
    }
    $new = New-Object Net.Http.HttpClient $handler
    $new.Timeout = [TimeSpan]::FromSeconds($Timeout)
    $new.MaxResponseContentBufferSize = 65536
    return $new
}

# One run at a time: the folder is held by the mutex, the state by its lock file. A killed run holds neither.
$mutex = $null
$lock = $null
$mine = $false
$code = 1
try {
    if ((Test-Path -LiteralPath $LogFile) -and (Get-Item -LiteralPath $LogFile).Length -gt 1000000) {
        foreach ($old in 3, 2, 1) {
            if (Test-Path -LiteralPath "$LogFile.$old") { Move-Item -LiteralPath "$LogFile.$old" -Destination "$LogFile.$($old + 1)" -Force }
        }
        Move-Item -LiteralPath $LogFile -Destination "$LogFile.1" -Force
    }
    Assert-Settings
    $Extensions = @($Extension -split ',' | ForEach-Object { '.' + $_.Trim().TrimStart('.') })
    $folderBytes = $Utf8.GetBytes((Get-Item -LiteralPath $Folder).FullName.TrimEnd('\').ToUpperInvariant())
    $folderHash = (Get-FileHash -InputStream (New-Object IO.MemoryStream (, $folderBytes)) -Algorithm SHA256).Hash
    $mutex = New-Object Threading.Mutex $false, "Global\ImportSlide-$folderHash"
    try { $mine = $mutex.WaitOne(0) } catch [Threading.AbandonedMutexException] { $mine = $true }
    try {
        $lock = [IO.File]::Open((Join-Path $State 'lock'), [IO.FileMode]::OpenOrCreate, [IO.FileAccess]::ReadWrite, [IO.FileShare]::None)
    } catch { if (-not (Test-InUse $_)) { throw } }
    if ($mine -and $null -ne $lock) {
        Read-State
        $Client = New-Client
        Send-AllSlides
    } else { Write-Output 'another run is under way' }
    $code = 0
} catch { Write-Line 'error' 'nothing could be done' (Get-Reason $_) } finally {
    if ($null -ne $lock) { $lock.Dispose() }
    if ($mine) { $mutex.ReleaseMutex() }
}
exit $code
