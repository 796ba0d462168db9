// The types of schema.graphql that the page uses, under the same names.

export interface Slide {
  ImageID: string;
  SlideID: string | null;
  CaseID: string | null;
  ScanDate: string | null;
  TimeZone: string | null;
  AppMag: string | null;
  MPP: number | null;
  width: number | null;
  height: number | null;
  Status: string | null;
  Filename: string | null;
  FileSize: number | null;
  Barcode: string | null;
  Reviewer: string | null;
  Note: string | null;
  Version: number | null;
  lastModified: string | null;
  ModifiedBy: string | null;
  Original: string | null;
  DeletedAt: string | null;
  Delivery: string | null;
  IDNotConfirmed: boolean | null;
  IDCandidates: IDCandidate[] | null;
  Damage: LevelDamage[] | null;
  SameFileAs: string | null;
  SameIDAs: string | null;
  LabelURL: string | null;
  PublishedAs: string | null;
  Predecessor: string | null;
  GoesAt: string | null;
}

/** A text of label or scanner's tag, and what it would name; CaseID is null where it does not fit the pattern. */
export interface IDCandidate extends SlideIDs {
  Text: string;
  Source: string;
}

export interface SlideIDs {
  SlideID: string;
  CaseID: string | null;
}

/** How many tiles of a level cannot be decoded, or not wholly. */
export interface LevelDamage {
  level: number;
  tiles: number;
}

/** The fields of a slide in live updates. */
export type SlideNews = Omit<Slide, "LabelURL" | "PublishedAs" | "Predecessor" | "GoesAt">;

/** The fields that users may change. */
export type Field = "SlideID" | "CaseID" | "Status" | "Reviewer" | "Note";
export type Fields = Partial<Record<Field, string | null>>;

export interface UpdateInput extends Fields {
  ImageID: string;
  expectedVersion?: number | null;
}

export interface UpdateResult {
  ImageID: string;
  slide: Slide | null;
  error: string | null;
  errorType: string | null;
}

export interface Page<Item> {
  items: Item[];
  nextToken: string | null;
}

export interface StatusCount {
  Status: string;
  count: number;
}

export interface HistoryEntry {
  at: string;
  by: string;
  field: string;
  from: string | null;
  to: string | null;
}

export interface Import {
  Filename: string;
  Size: number | null;
  State: string | null;
  Progress: number | null;
  ImageID: string | null;
  Error: string | null;
  StartedAt: string | null;
  UpdatedAt: string | null;
}

/** What lies in the watched folders and is not imported for one reason. */
export interface NotImported {
  reason: string;
  count: number;
  names: string[];
}

export type JobKind = "PUBLISH" | "WITHDRAW" | "ARCHIVE" | "RESTORE" | "PURGE" | "SEND" | "RENDER";

export interface Job {
  ImageID: string;
  Kind: JobKind;
  State: "WAITING" | "DONE" | "FAILED" | "DISMISSED";
  Name: string | null;
  RequestedAt: string;
  UpdatedAt: string;
  ExpectedAt: string | null;
  Error: string | null;
}

export interface Search {
  text: string | null;
  status: string | null;
  scanDateFrom: string | null;
  duplicates: true | null;
}
