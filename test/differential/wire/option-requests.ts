/** Options of lists and watches in combination. */
import type { Json, WireGroup, WireRequest } from "./request.ts";

const core = "/api/v1/namespaces/wire-options";

const get = (what: string, path: string): WireRequest => ({ name: `of options: ${what}`, method: "GET", path });
const post = (what: string, path: string, body: Json): WireRequest => ({
  name: `of options: ${what}`,
  method: "POST",
  path,
  body,
});

const setting: readonly WireRequest[] = [
  post("namespace", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "wire-options" } }),
  ...["a", "b"].map((name) =>
    post(`secret ${name}`, `${core}/secrets`, { apiVersion: "v1", kind: "Secret", metadata: { name } }),
  ),
];

/** Every choice of one value for each option; undefined leaves it out. */
function combinations(options: Readonly<Record<string, readonly (string | undefined)[]>>): string[] {
  return Object.entries(options).reduce<string[]>(
    (queries, [name, values]) =>
      queries.flatMap((query) =>
        values.map((value) =>
          value === undefined ? query : `${query}${query === "" ? "" : "&"}${name}=${encodeURIComponent(value)}`,
        ),
      ),
    [""],
  );
}

const matches = [undefined, "NotOlderThan", "Exact", "Perhaps"];

const watches = combinations({
  sendInitialEvents: [undefined, "", "true", "false", "maybe"],
  resourceVersionMatch: matches,
  resourceVersion: [undefined, "0", "abc", "-1"],
  allowWatchBookmarks: [undefined, "true"],
}).map((query) => get(`watch ${query}`, `${core}/secrets?watch=true&timeoutSeconds=1&${query}`));

const oddWatches = [
  "watch=1&limit=1",
  "watch=1&limit=-1",
  "watch=1&limit=x",
  "watch=1&continue=abc",
  "watch=1&continue=abc&resourceVersion=0",
  "watch=1&continue=abc&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
  "watch=1&allowWatchBookmarks=perhaps",
  "watch=1&labelSelector=a%20b",
  "watch=1&fieldSelector=metadata.uid%3Da",
  "watch=",
  "watch=false",
  "watch=no",
  "watch=0",
  "watch=T",
].map((query) => get(`odd watch ${query}`, `${core}/secrets?timeoutSeconds=1&${query}`));

const lists = combinations({
  sendInitialEvents: [undefined, "true", "false", "maybe"],
  resourceVersionMatch: matches,
  resourceVersion: [undefined, "0", "abc", "-1"],
  limit: [undefined, "1", "-1"],
  continue: [undefined, "abc"],
}).map((query) => get(`list ${query}`, `${core}/secrets?${query}`));

const oddLists = [
  "timeoutSeconds=0",
  "timeoutSeconds=-1",
  "timeoutSeconds=1.5",
  "timeoutSeconds=",
  "limit=",
  "limit=1.5",
  "limit=9223372036854775808",
  "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjIiLCJydiI6MSwic3RhcnQiOiJhIn0",
  "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi9hIn0",
  "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIifQ",
  "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MCwic3RhcnQiOiJhXHUwMDAwIn0",
  "allowWatchBookmarks=true",
  "resourceVersion=0&resourceVersion=abc",
].map((query) => get(`odd list ${query}`, `${core}/secrets?${query}`));

export const optionGroups: readonly WireGroup[] = [
  { name: "options: setting", inOrder: true, requests: setting },
  { name: "options of watches", requests: [...watches, ...oddWatches] },
  { name: "options of lists", requests: [...lists, ...oddLists] },
];
