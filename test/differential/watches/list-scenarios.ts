/** Lists in pages while others write, and as of every sort of revision. */
import type { Json } from "../wire/request.ts";
import type { AnyStep, Read, Scenario } from "./scenario.ts";
import { compaction, label, merge, ownNamespace, partialList, read, restart, table, watch, write } from "./steps.ts";

/** What is listed: one collection over several namespaces. */
interface Listed {
  readonly name: string;
  readonly group: string;
  readonly plural: string;
  readonly apiVersion: string;
  readonly kind: string;
}

const lists: readonly Listed[] = [
  { name: "maps", group: "/api/v1", plural: "configmaps", apiVersion: "v1", kind: "ConfigMap" },
  {
    name: "things",
    group: "/apis/watched.example.com/v1",
    plural: "things",
    apiVersion: "watched.example.com/v1",
    kind: "Thing",
  },
];

const nameOfNamespace = ({ name }: Listed, about: string, suffix: string): string => `list-${about}-${name}${suffix}`;

/** A namespace whose name begins as another's and comes before it in the order of keys. */
const suffixes = ["", "-b", "0"];

function objects(listed: Listed, about: string): readonly AnyStep[] {
  return suffixes.flatMap((suffix) => {
    const namespace = nameOfNamespace(listed, about, suffix);
    return [
      ...ownNamespace(namespace),
      ...["c", "a", "b"].map((name) =>
        write(`${name} in ${namespace}`, "POST", `${listed.group}/namespaces/${namespace}/${listed.plural}`, {
          apiVersion: listed.apiVersion,
          kind: listed.kind,
          metadata: { name, labels: { in: about, name } },
        }),
      ),
    ];
  });
}

function pages(listed: Listed): Scenario {
  const about = "pages";
  const namespace = nameOfNamespace(listed, about, "");
  const one = `${listed.group}/namespaces/${namespace}/${listed.plural}`;
  const everywhere = `${listed.group}/${listed.plural}`;
  const mine = `labelSelector=in%3D${about}`;
  const put = (name: string, labels: Json = {}): AnyStep =>
    write(`${name} is made between pages`, "POST", one, {
      apiVersion: listed.apiVersion,
      kind: listed.kind,
      metadata: { name, labels: { in: about, ...labels } },
    });
  return {
    name: `pages of ${listed.name}`,
    steps: [
      ...objects(listed, about),
      read("one page of one namespace", `${one}?limit=1`),
      read("one page of all", `${everywhere}?limit=4&${mine}`),
      read("a page as a table", `${one}?limit=2`, table),
      read("a page of metadata", `${one}?limit=2`, partialList),
      read("a page of a field", `${one}?limit=1&fieldSelector=metadata.name!%3Dc`),
      read("a page of a label", `${one}?limit=1&labelSelector=name%20in%20(a,c)`),
      read("a page of just all", `${one}?limit=3`),
      read("a page of more than all", `${one}?limit=4`),
      write("b goes between pages", "DELETE", `${one}/b`),
      put("aa", { name: "aa" }),
      merge("c changes between pages", `${one}/c`, { metadata: { annotations: { note: "changed" } } }),
      read("the second page", `${one}?limit=1&continue={continue:one page of one namespace}`),
      read("the third page", `${one}?limit=1&continue={continue:the second page}`),
      read("the rest after one", `${one}?continue={continue:one page of one namespace}`),
      read("the second page of all", `${everywhere}?limit=4&${mine}&continue={continue:one page of all}`),
      read("the third page of all", `${everywhere}?limit=4&${mine}&continue={continue:the second page of all}`),
      read("the second page as a table", `${one}?limit=2&continue={continue:a page as a table}`, table),
      read("the second page of metadata", `${one}?limit=2&continue={continue:a page of metadata}`, partialList),
      read(
        "the second page of a field",
        `${one}?limit=1&fieldSelector=metadata.name!%3Dc&continue={continue:a page of a field}`,
      ),
      read("the page of another field", `${one}?fieldSelector=metadata.name%3Dc&continue={continue:a page of a field}`),
      read("the page of another label", `${one}?limit=1&labelSelector=name%3Db&continue={continue:a page of a label}`),
      read("the page of another limit", `${one}?limit=500&continue={continue:one page of one namespace}`),
      read("a page after that of a label", `${one}?limit=1&continue={continue:a page of a label}`),
      read("a page of any revision", `${one}?limit=1&resourceVersion=0&continue={continue:a page of a label}`),
      read(
        "a page of a revision too",
        `${one}?limit=1&resourceVersion={of:a page of a label}&continue={continue:a page of a label}`,
      ),
      read(
        "a page with a match too",
        `${one}?limit=1&resourceVersionMatch=Exact&resourceVersion={of:a page of a label}&continue={continue:a page of a label}`,
      ),
      read("the list in full", one),
      read("the list of all in full", `${everywhere}?${mine}`),
      {
        ...read("the first page is deleted", `${one}?limit=1`),
        method: "DELETE",
      },
      read("the list after the page", one),
      read("the page that goes on over deletions", `${one}?limit=1&continue={continue:the first page is deleted}`),
      { ...read("what follows is deleted", `${one}?continue={continue:one page of one namespace}`), method: "DELETE" },
      read("the list after all", one),
    ],
  };
}

const matches = ["", "&resourceVersionMatch=NotOlderThan", "&resourceVersionMatch=Exact"];

function revisions(listed: Listed): Scenario {
  const about = "revisions";
  const namespace = nameOfNamespace(listed, about, "");
  const one = `${listed.group}/namespaces/${namespace}/${listed.plural}`;
  const at = [
    ["any", "0"],
    ["an old one", `{after:b in ${namespace}}`],
    ["that before a write", "{after:a is labelled}"],
    ["the newest", "{after:b is deleted}"],
  ] as const;
  const reads: Read[] = at.flatMap(([which, revision]) =>
    matches.flatMap((match) =>
      ["", "&limit=1", "&labelSelector=name%3Da"].map((more) =>
        read(`as of ${which}${match}${more}`, `${one}?resourceVersion=${revision}${match}${more}`),
      ),
    ),
  );
  return {
    name: `revisions of ${listed.name}`,
    steps: [
      ...objects(listed, about),
      label("a is labelled", `${one}/a`, { new: "yes" }),
      write("b is deleted", "DELETE", `${one}/b`),
      ...reads,
      ...at.map(([which, revision]) => read(`one as of ${which}`, `${one}/a?resourceVersion=${revision}`)),
      ...at.map(([which, revision]) => read(`one that is gone as of ${which}`, `${one}/b?resourceVersion=${revision}`)),
      ...[
        ["a list", one, ""],
        ["a list not older", one, matches[1]],
        ["a list exactly", one, matches[2]],
        ["a page", one, "&limit=1"],
        ["one", `${one}/a`, ""],
        [
          "initial events",
          one,
          "&watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan",
        ],
      ].map(([which, path, more]) =>
        read(`of the future: ${which}`, `${path}?resourceVersion={future:b is deleted}${more}&timeoutSeconds=20`),
      ),
    ],
  };
}

function compacted(listed: Listed): Scenario {
  const about = "compaction";
  const namespace = nameOfNamespace(listed, about, "");
  const one = `${listed.group}/namespaces/${namespace}/${listed.plural}`;
  const old = `{after:b in ${namespace}}`;
  const askAgain = (when: string): readonly AnyStep[] => [
    read(`${when}: exactly`, `${one}?resourceVersion=${old}&resourceVersionMatch=Exact`),
    read(`${when}: exactly, as a table`, `${one}?resourceVersion=${old}&resourceVersionMatch=Exact`, table),
    read(`${when}: a page`, `${one}?resourceVersion=${old}&limit=1`),
    read(`${when}: a page exactly`, `${one}?resourceVersion=${old}&resourceVersionMatch=Exact&limit=1`),
    read(`${when}: not older`, `${one}?resourceVersion=${old}&resourceVersionMatch=NotOlderThan`),
    read(`${when}: plain`, `${one}?resourceVersion=${old}`),
    read(`${when}: one`, `${one}/a?resourceVersion=${old}`),
    read(`${when}: the next page`, `${one}?limit=1&continue={continue:a page}`),
    read(`${when}: the next page as a table`, `${one}?limit=1&continue={continue:a page}`, table),
    read(`${when}: the rest`, `${one}?continue={continue:a page}`),
    read(`${when}: going on regardless`, `${one}?limit=1&continue={continue:${when}: the next page}`),
    { ...read(`${when}: exact deletes`, `${one}?resourceVersion=${old}&resourceVersionMatch=Exact`), method: "DELETE" },
    { ...read(`${when}: deletes that go on`, `${one}?continue={continue:a page}`), method: "DELETE" },
    watch(`${when}: all from then`, one, `resourceVersion=${old}&allowWatchBookmarks=true`),
    watch(`${when}: tables from then`, one, `resourceVersion=${old}`, table),
    watch(
      `${when}: metadata from then`,
      one,
      `resourceVersion=${old}`,
      partialList.replace("MetadataList", "Metadata"),
    ),
    watch(`${when}: one from then`, one, `resourceVersion=${old}&fieldSelector=metadata.name%3Da`),
    watch(`${when}: from the first revision`, one, "resourceVersion=1"),
    watch(
      `${when}: not the present from then`,
      one,
      `resourceVersion=${old}&sendInitialEvents=false&resourceVersionMatch=NotOlderThan`,
    ),
    watch(
      `${when}: the present not older than then`,
      one,
      `resourceVersion=${old}&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan`,
    ),
    watch(`${when}: from the compaction`, one, "resourceVersion={after:compaction}"),
  ];
  return {
    name: `compacted ${listed.name}`,
    steps: [
      ...objects(listed, about),
      read("a page", `${one}?limit=1`),
      label("a is labelled", `${one}/a`, { new: "yes" }),
      write("b is deleted", "DELETE", `${one}/b`),
      compaction,
      label("a is labelled again", `${one}/a`, { new: "no" }),
      // When upstream's caches notice a compaction is a matter of time: only what a new start answers can be compared.
      restart,
      ...(listed.group.startsWith("/apis/")
        ? [{ ...write("served again", "GET", `${listed.group}/${listed.plural}`), until: 200 }]
        : []),
      ...askAgain("cold"),
      merge("c changes", `${one}/c`, { metadata: { annotations: { note: "later" } } }),
    ],
  };
}

export const listScenarios: readonly Scenario[] = lists.flatMap((listed) => [pages(listed), revisions(listed)]);
/** Last: they end the server. */
export const compactionScenarios: readonly Scenario[] = lists.map(compacted);
