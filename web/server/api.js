// The operations of schema.graphql that this page uses, one function each.
import { graphqlHost } from "../login/entry.js";
import { mayChange } from "../login/person.js";
import { appSync } from "./appsync.js";
import { ask } from "./graphql.js";
import { keepSubscribed } from "./socket.js";
import { transportWs } from "./transportws.js";

/** @import {HistoryEntry, Import, Page, Search, Slide, StatusCount, UpdateInput, UpdateResult} from "./types.js" */

const SLIDE = `ImageID SlideID CaseID ScanDate TimeZone AppMag MPP width height Status Filename FileSize Barcode
  Reviewer Note Version lastModified ModifiedBy LabelURL`;
const IMPORT = "Filename Size State Progress ImageID Error StartedAt UpdatedAt";
const UNFINISHED = ["FAILED", "IMPORTING", "TRANSFERRING"];
const AT_ONCE = 100; // slides in one request

/**
 * @param {Search} search
 * @param {number} limit
 * @param {string | null} nextToken
 * @returns {Promise<Page<Slide>>}
 */
export async function searchSlides(search, limit, nextToken) {
  const data = await ask(
    `query Search($text: String, $status: String, $scanDateFrom: AWSDateTime, $limit: Int, $nextToken: String) {
      searchSlides(text: $text, status: $status, scanDateFrom: $scanDateFrom, limit: $limit, nextToken: $nextToken)
      { items { ${SLIDE} } nextToken }
    }`,
    { ...search, limit, nextToken },
  );
  return data.searchSlides;
}

/**
 * @param {string[]} ids
 * @returns {Promise<Slide[]>} those that are there
 */
export async function getSlides(ids) {
  const found = [];
  for (const some of chunks(ids)) {
    const data = await ask(`query Get($ids: [String]) { getSlides(ImageIDs: $ids) { ${SLIDE} } }`, { ids: some });
    found.push(...data.getSlides);
  }
  return found.filter(Boolean);
}

/** @returns {Promise<StatusCount[]>} */
export async function countSlides() {
  return (await ask("query Count { countSlides { Status count } }")).countSlides;
}

/**
 * @param {UpdateInput[]} input
 * @returns {Promise<UpdateResult[]>}
 */
export async function updateSlides(input) {
  const results = [];
  for (const some of chunks(input)) {
    const data = await ask(
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
  return (await ask(query, { id })).slideHistory.items;
}

/** @returns {Promise<Import[]>} those that somebody may wait for or worry about */
export async function listUnfinished() {
  if (!mayChange()) return [];
  const lists = UNFINISHED.map((state) => `${state}: listImports(state: "${state}", limit: 100) { items { ${IMPORT} } }`);
  const data = await ask(`query Imports { ${lists.join(" ")} }`);
  return UNFINISHED.flatMap((state) => data[state].items);
}

/**
 * @param {string} filename
 * @returns {Promise<Import>}
 */
export async function retryImport(filename) {
  const query = `mutation Retry($filename: String!) { retryImport(Filename: $filename) { ${IMPORT} } }`;
  return (await ask(query, { filename })).retryImport;
}

/** @param {{onSlide: (slide: Slide) => void, onImport: (run: Import) => void, onLive: (live: boolean) => void}} told */
export function subscribe({ onSlide, onImport, onLive }) {
  const subscriptions = [
    {
      query: `subscription { onUpdateSlide { ${SLIDE} } }`,
      next: (/** @type {any} */ data) => data.onUpdateSlide && onSlide(data.onUpdateSlide),
    },
    {
      query: `subscription { onImportProgress { ${IMPORT} } }`,
      next: (/** @type {any} */ data) => data.onImportProgress && onImport(data.onImportProgress),
    },
  ];
  const host = graphqlHost();
  // Who only reads slides is not told how they come in.
  const permitted = subscriptions.slice(0, mayChange() ? 2 : 1);
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
