// The operations of schema.graphql that this page uses, one function each.
import { mayChange } from "../login/currentuser.js";
import { graphqlHost } from "../login/signin.js";
import { appSync } from "./appsync.js";
import { execute } from "./graphql.js";
import { keepSubscribed } from "./socket.js";
import { transportWs } from "./transportws.js";

/** @import {HistoryEntry, Import, Job, JobKind, NotImported, Page, Search, Slide, SlideIDs, SlideNews, StatusCount, UpdateInput, UpdateResult} from "./types.js" */

// The fields that all users may see, and that live updates contain.
const NEWS = `ImageID SlideID CaseID ScanDate TimeZone AppMag MPP width height Status Filename FileSize Barcode
  Reviewer Note Version lastModified ModifiedBy Original DeletedAt Delivery IDNotConfirmed SameFileAs SameIDAs
  IDCandidates { Text Source SlideID CaseID } Damage { level tiles }`;
const SLIDE = `${NEWS} LabelURL PublishedAs Predecessor GoesAt`;
const JOB = "ImageID Kind State Name RequestedAt UpdatedAt ExpectedAt Error";
const OPEN = ["FAILED", "WAITING"];
const MOST_JOBS = 300; // per state: a day's slides
/** The mutation that requests each kind of job. */
const ASKED_BY = { PUBLISH: "publishSlide", WITHDRAW: "withdrawSlide", ARCHIVE: "archiveSlide", RESTORE: "restoreSlide", PURGE: "purgeSlide" };
/** The second argument of some of them. */
const NEEDED = { PUBLISH: "name", PURGE: "confirm" };
const IMPORT = "Filename Size State Progress ImageID Error StartedAt UpdatedAt";
const UNFINISHED = ["FAILED", "IMPORTING", "TRANSFERRING"];
const AT_ONCE = 100; // slides per request

/**
 * @param {Search} search
 * @param {number} limit
 * @param {string | null} nextToken
 * @returns {Promise<Page<Slide>>}
 */
export async function searchSlides(search, limit, nextToken) {
  const data = await execute(
    `query Search($text: String, $status: String, $scanDateFrom: AWSDateTime, $duplicates: Boolean, $limit: Int, $nextToken: String) {
      searchSlides(text: $text, status: $status, scanDateFrom: $scanDateFrom, duplicates: $duplicates, limit: $limit, nextToken: $nextToken)
      { items { ${SLIDE} } nextToken }
    }`,
    { ...search, limit, nextToken },
  );
  return data.searchSlides;
}

/**
 * @param {string[]} ids
 * @returns {Promise<Slide[]>} without those that do not exist
 */
export async function getSlides(ids) {
  const found = [];
  for (const some of chunks(ids)) {
    const data = await execute(`query Get($ids: [String]) { getSlides(ImageIDs: $ids) { ${SLIDE} } }`, { ids: some });
    found.push(...data.getSlides);
  }
  return found.filter(Boolean);
}

/** @returns {Promise<StatusCount[]>} */
export async function countSlides() {
  return (await execute("query Count { countSlides { Status count } }")).countSlides;
}

/**
 * @param {UpdateInput[]} input
 * @returns {Promise<UpdateResult[]>}
 */
export async function updateSlides(input) {
  const results = [];
  for (const some of chunks(input)) {
    const data = await execute(
      `mutation Update($input: [UpdateSlideInput!]!) {
        updateSlides(input: $input) { ImageID slide { ${SLIDE} } error errorType }
      }`,
      { input: some },
    );
    results.push(...data.updateSlides);
  }
  return results;
}

/**
 * @param {string} id
 * @returns {Promise<HistoryEntry[]>} newest first
 */
export async function slideHistory(id) {
  const query = "query History($id: String!) { slideHistory(ImageID: $id, limit: 20) { items { at by field from to } } }";
  return (await execute(query, { id })).slideHistory.items;
}

/**
 * @param {string} text
 * @returns {Promise<SlideIDs>} what the text names by the laboratory's pattern
 */
export async function idsOf(text) {
  return (await execute("query IDs($text: String!) { idsOf(text: $text) { SlideID CaseID } }", { text })).idsOf;
}

/**
 * @returns {Promise<{runs: Import[], notImported: NotImported[]}>} the imports that are in progress or have failed, and
 *   what lies in the watched folders and is not imported
 */
export async function listUnfinished() {
  if (!mayChange()) return { runs: [], notImported: [] };
  const lists = UNFINISHED.map((state) => `${state}: listImports(state: "${state}", limit: 100) { items { ${IMPORT} } }`);
  const data = await execute(`query Imports { ${lists.join(" ")} listNotImported { reason count names } }`);
  return { runs: UNFINISHED.flatMap((state) => data[state].items), notImported: data.listNotImported ?? [] };
}

/**
 * @param {string} filename
 * @param {boolean} again imports also a purged slide's file
 * @returns {Promise<Import>}
 */
export async function retryImport(filename, again) {
  const query = `mutation Retry($filename: String!, $again: Boolean) {
    retryImport(Filename: $filename, again: $again) { ${IMPORT} }
  }`;
  return (await execute(query, { filename, again })).retryImport;
}

/** @returns {Promise<Page<Job>>} the jobs that wait or have failed; with a token where there are more */
export async function listOpenJobs() {
  if (!mayChange()) return { items: [], nextToken: null };
  const lists = OPEN.map((state) => `${state}: listJobs(state: "${state}", limit: ${MOST_JOBS}) { items { ${JOB} } nextToken }`);
  const data = await execute(`query Jobs { ${lists.join(" ")} }`);
  return { items: OPEN.flatMap((state) => data[state].items), nextToken: data.FAILED.nextToken ?? data.WAITING.nextToken };
}

/**
 * @param {Exclude<JobKind, "SEND" | "RENDER">} kind
 * @param {string} id
 * @param {string} [argument] the name of the copy, or the ImageID again
 * @returns {Promise<Job>}
 */
export async function requestJob(kind, id, argument) {
  const needed = kind === "PUBLISH" || kind === "PURGE" ? NEEDED[kind] : null;
  const [given, passed] = needed ? [", $argument: String!", `, ${needed}: $argument`] : ["", ""];
  const query = `mutation Ask($id: String!${given}) { job: ${ASKED_BY[kind]}(ImageID: $id${passed}) { ${JOB} } }`;
  return (await execute(query, needed ? { id, argument } : { id })).job;
}

/**
 * @param {JobKind} kind of a failed job
 * @param {string} id
 * @returns {Promise<Job>}
 */
export async function dismissJob(kind, id) {
  const query = `mutation Dismiss($kind: String!, $id: String!) { dismissJob(ImageID: $id, kind: $kind) { ${JOB} } }`;
  return (await execute(query, { kind, id })).dismissJob;
}

/** @param {{onSlide: (slide: SlideNews) => void, onImport: (run: Import) => void, onJob: (job: Job) => void, onLive: (live: boolean) => void}} callbacks */
export function subscribe({ onSlide, onImport, onJob, onLive }) {
  const subscriptions = [
    {
      query: `subscription { onUpdateSlide { ${NEWS} } }`,
      next: (/** @type {any} */ data) => data.onUpdateSlide && onSlide(data.onUpdateSlide),
    },
    {
      query: `subscription { onImportProgress { ${IMPORT} } }`,
      next: (/** @type {any} */ data) => data.onImportProgress && onImport(data.onImportProgress),
    },
    {
      query: `subscription { onJobUpdate { ${JOB} } }`,
      next: (/** @type {any} */ data) => data.onJobUpdate && onJob(data.onJobUpdate),
    },
  ];
  const host = graphqlHost();
  // Users who may only view slides get no imports and no jobs.
  const permitted = subscriptions.slice(0, mayChange() ? 3 : 1);
  keepSubscribed(permitted, host === null ? transportWs : appSync(host), onLive);
}

/**
 * @template Item
 * @param {Item[]} items
 * @returns {Item[][]}
 */
function chunks(items) {
  const starts = Array.from({ length: Math.ceil(items.length / AT_ONCE) }, (_, at) => at * AT_ONCE);
  return starts.map((start) => items.slice(start, start + AT_ONCE));
}
