<#
.SYNOPSIS
Registers the scheduled task that runs ImportSlide.ps1 every minute, or removes it (-Uninstall).

.DESCRIPTION
Run it as administrator; running it again changes what is there. It copies ImportSlide.ps1 where only
administrators can change it, keeps the client secret so that only the task's account and administrators can read
it, and gives that account the right to change the scanner's folder. docs/scanner.md explains the accounts.
#>
#Requires -Version 5.1
#Requires -RunAsAdministrator
[CmdletBinding(DefaultParameterSetName = 'Install')]
param(
    [Parameter(Mandatory = $true, ParameterSetName = 'Install')] [string] $Folder,
    [Parameter(Mandatory = $true, ParameterSetName = 'Install')] [uri] $Url,
    [Parameter(ParameterSetName = 'Install')] [uri] $TokenUrl,
    [Parameter(ParameterSetName = 'Install')] [string] $ClientId,
    [Parameter(ParameterSetName = 'Install')] [string] $Account = 'LOCALSERVICE',
    [Parameter(ParameterSetName = 'Install')] [ValidateRange(1, 60)] [int] $EveryMinutes = 1,
    [Parameter(ParameterSetName = 'Install')] [string[]] $Extension = @('.svs'),
    [Parameter(ParameterSetName = 'Install')] [uri] $Proxy,
    [Parameter(ParameterSetName = 'Install')] [string] $PowerShell = "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe",
    [Parameter(ParameterSetName = 'Install')] [switch] $NewSecret,
    [Parameter(ParameterSetName = 'Install')] [switch] $Keep,
    [Parameter(ParameterSetName = 'Install')] [switch] $NoSha256,
    [Parameter(ParameterSetName = 'Install')] [switch] $AllowHttp,
    [string] $TaskName = 'ImportSlide',
    [string] $State = "$env:ProgramData\VirtualSlideViewer\Scanner",
    [Parameter(Mandatory = $true, ParameterSetName = 'Uninstall')] [switch] $Uninstall
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$TaskPath = '\VirtualSlideViewer\'
$Program = "$env:ProgramFiles\VirtualSlideViewer"
$Installed = Join-Path $Program 'ImportSlide.ps1'
$SecretFile = Join-Path $State 'client-secret'
$ServiceAccounts = @{ 'SYSTEM' = 'S-1-5-18'; 'LOCALSERVICE' = 'S-1-5-19'; 'NETWORKSERVICE' = 'S-1-5-20' }

function Get-Sid {
    # By number: the names of the built-in accounts differ between languages of Windows.
    if ($ServiceAccounts.ContainsKey($Account)) { return $ServiceAccounts[$Account] }
    return (New-Object Security.Principal.NTAccount $Account).Translate([Security.Principal.SecurityIdentifier]).Value
}

function Set-Rights([string[]] $Arguments) {
    & "$env:SystemRoot\System32\icacls.exe" $Arguments | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls $Arguments failed with $LASTEXITCODE" }
}

function Save-Secret {
    # DPAPI of the machine, because an account that nobody logs on with has no keys of its own; the folder's rights
    # decide who may read it.
    foreach ($assembly in 'System.Security', 'System.Security.Cryptography.ProtectedData') {
        try { Add-Type -AssemblyName $assembly } catch { Write-Verbose "$assembly is part of another assembly here." }
    }
    $typed = Read-Host -Prompt "The client secret of $ClientId" -AsSecureString
    $plain = (New-Object Net.NetworkCredential '', $typed).Password.Trim()
    if (-not $plain) { throw 'a client secret is needed' }
    $sealed = [Security.Cryptography.ProtectedData]::Protect([Text.Encoding]::UTF8.GetBytes($plain), $null, 'LocalMachine')
    [IO.File]::WriteAllBytes($SecretFile, $sealed)
    if (Test-Path -LiteralPath "$State\state.json") { Remove-Item -LiteralPath "$State\state.json" }  # the old one's token
}

function Get-Quoted([string] $Value) {
    if ($Value.Contains('"') -or $Value.EndsWith('\')) { throw "$Value must have no quotation mark and no \ at its end" }
    return "`"$Value`""
}

function Get-Arguments {
    $parts = @('-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'RemoteSigned', '-File', (Get-Quoted $Installed))
    $parts += @('-Folder', (Get-Quoted $Folder), '-Url', (Get-Quoted $Url.AbsoluteUri), '-State', (Get-Quoted $State))
    $parts += @('-Extension', (Get-Quoted ($Extension -join ',')))
    if ($TokenUrl) { $parts += @('-TokenUrl', (Get-Quoted $TokenUrl.AbsoluteUri), '-ClientId', (Get-Quoted $ClientId), '-SecretFile', (Get-Quoted $SecretFile)) }
    if ($Proxy) { $parts += @('-Proxy', (Get-Quoted $Proxy.AbsoluteUri)) }
    if ($Keep) { $parts += '-Keep' }
    if ($NoSha256) { $parts += '-NoSha256' }
    if ($AllowHttp) { $parts += '-AllowHttp' }
    return $parts -join ' '
}

function Get-Principal {
    $logon = 'S4U'  # nobody's password is stored; such a log-on reaches no network shares
    if ($ServiceAccounts.ContainsKey($Account)) { $logon = 'ServiceAccount' }
    if ($Account.EndsWith('$')) { $logon = 'Password' }  # a group managed service account: Windows knows its password
    return New-ScheduledTaskPrincipal -UserId $Account -LogonType $logon -RunLevel Limited
}

if ($Uninstall) {
    Get-ScheduledTask -TaskPath $TaskPath -TaskName $TaskName -ErrorAction SilentlyContinue | Unregister-ScheduledTask -Confirm:$false
    foreach ($path in $SecretFile, "$State\state.json", $Installed) {
        if (Test-Path -LiteralPath $path) { Remove-Item -LiteralPath $path }
    }
    Write-Output "The task and the secret are gone; the log stays in $State."
    exit 0
}

if (-not (Test-Path -LiteralPath $Folder -PathType Container)) { throw "there is no folder $Folder" }
if ($TokenUrl -and -not $ClientId) { throw '-TokenUrl needs -ClientId' }
$arguments = Get-Arguments
$sid = Get-Sid
foreach ($path in $Program, $State) { [void] (New-Item -ItemType Directory -Path $path -Force) }
$source = Join-Path $PSScriptRoot 'ImportSlide.ps1'
if ($source -ne $Installed) { Copy-Item -LiteralPath $source -Destination $Installed -Force }
Unblock-File -LiteralPath $Installed
Set-Rights @($State, '/inheritance:r', '/grant:r', '*S-1-5-18:(OI)(CI)F', '*S-1-5-32-544:(OI)(CI)F')
Set-Rights @($State, '/grant', "*${sid}:(OI)(CI)M")
if ($Folder.StartsWith('\\')) {
    Write-Warning "Give $Account the right to change files in ${Folder}: on a share this script cannot."
} else { Set-Rights @($Folder, '/grant', "*${sid}:(OI)(CI)M") }
if ($TokenUrl -and ($NewSecret -or -not (Test-Path -LiteralPath $SecretFile))) { Save-Secret }

$task = @{
    TaskPath    = $TaskPath
    TaskName    = $TaskName
    Description = "Offers the slides in $Folder to $Url and deletes those that it has stored."
    Action      = New-ScheduledTaskAction -Execute $PowerShell -Argument $arguments
    Trigger     = New-ScheduledTaskTrigger -Once -At (Get-Date) -RepetitionInterval (New-TimeSpan -Minutes $EveryMinutes)
    Settings    = New-ScheduledTaskSettingsSet -MultipleInstances IgnoreNew -ExecutionTimeLimit (New-TimeSpan -Hours 12) -StartWhenAvailable -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries
    Principal   = Get-Principal
}
[void] (Register-ScheduledTask @task -Force)
Write-Output "The task $TaskPath$TaskName runs every $EveryMinutes minute(s) as $Account; its log is $State\import_slide.log."
