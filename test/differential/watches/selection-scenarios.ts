/** Watches of fields and names while objects change them; deletions that take their time; watches that end. */
import type { Json } from "../wire/request.ts";
import type { AnyStep, Scenario, Watch } from "./scenario.ts";
import { all, ending, label, merge, ownNamespace, partial, protobuf, table, watch, write } from "./steps.ts";

const pods = "/api/v1/namespaces/watch-fields/pods";
const pod = (name: string): Json => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: name } },
  spec: { containers: [{ name: "a", image: "a" }] },
});
const phase = (what: string, name: string, value: string): AnyStep =>
  merge(what, `${pods}/${name}/status`, { status: { phase: value } });
const bind = (name: string, node: string): AnyStep =>
  write(`${name} is bound`, "POST", `${pods}/${name}/binding`, {
    apiVersion: "v1",
    kind: "Binding",
    metadata: { name },
    target: { kind: "Node", name: node },
  });

const selections = {
  running: "fieldSelector=status.phase%3DRunning",
  "not running": "fieldSelector=status.phase!%3DRunning",
  "on a node": "fieldSelector=spec.nodeName%3Dn1",
  "on no node": "fieldSelector=spec.nodeName%3D",
  "running on a node": "fieldSelector=spec.nodeName%3Dn1,status.phase%3DRunning",
  "running by a label": "labelSelector=app%3Da&fieldSelector=status.phase%3DRunning",
  "of a name": "fieldSelector=metadata.name%3Da",
  "not of a name": "fieldSelector=metadata.name!%3Da",
  "of a namespace": "fieldSelector=metadata.namespace%3Dwatch-fields",
  "of another namespace": "fieldSelector=metadata.namespace%3Dother",
  "by address": "fieldSelector=status.podIP%3D10.0.0.9",
} as const;

const watchesOf = (when: string, from: string): readonly Watch[] =>
  Object.entries(selections).flatMap(([what, query]) => [
    watch(`${when}: ${what}`, pods, `${query}&${from}`),
    ...(what.includes("running") ? [watch(`${when}: tables ${what}`, pods, `${query}&${from}`, table)] : []),
    ...(what.startsWith("running") ? [watch(`${when}: metadata ${what}`, pods, `${query}&${from}`, partial)] : []),
    ...(what === "running" ? [watch(`${when}: protobuf ${what}`, pods, `${query}&${from}`, protobuf)] : []),
  ]);

const fields: Scenario = {
  name: "fields of pods",
  steps: [
    ...ownNamespace("watch-fields"),
    ...watchesOf("at first", all),
    write("a is made", "POST", pods, pod("a")),
    write("b is made", "POST", pods, pod("b")),
    bind("a", "n1"),
    phase("a runs", "a", "Running"),
    merge("a gets an address", `${pods}/a/status`, { status: { podIP: "10.0.0.9", podIPs: [{ ip: "10.0.0.9" }] } }),
    label("a is labelled", `${pods}/a`, { app: "other" }),
    ...watchesOf("amid", "resourceVersion={after:a is made}"),
    ...watchesOf("amid, all", all),
    label("a is labelled back", `${pods}/a`, { app: "a" }),
    bind("b", "n1"),
    phase("b runs", "b", "Running"),
    write("b is to be deleted", "DELETE", `${pods}/b`),
    phase("a succeeds", "a", "Succeeded"),
    phase("a runs again", "a", "Running"),
    phase("a fails", "a", "Failed"),
    write("b is deleted", "DELETE", `${pods}/b?gracePeriodSeconds=0`),
    write("a is to be deleted", "DELETE", `${pods}/a?gracePeriodSeconds=5`),
    write("all are deleted", "DELETE", `${pods}?gracePeriodSeconds=0`),
    ...watchesOf("at last", "resourceVersion={after:a is bound}"),
  ],
};

const things = "/apis/watched.example.com/v1/namespaces/watch-colours/things";
const otherThings = things.replace("/v1/", "/v1beta1/");
const thing = (name: string, colour: string): Json => ({
  apiVersion: "watched.example.com/v1",
  kind: "Thing",
  metadata: { name },
  spec: { colour },
});
const colour = (what: string, name: string, value: string | null): AnyStep =>
  merge(what, `${things}/${name}`, { spec: { colour: value } });
const colours = (when: string, from: string): readonly Watch[] =>
  ["spec.colour%3Dred", "spec.colour!%3Dred", "spec.colour%3D", "metadata.name%3Da,spec.colour%3Dblue"].flatMap(
    (selector) => [
      watch(`${when}: ${selector}`, things, `fieldSelector=${selector}&${from}`),
      watch(`${when}: ${selector} by another version`, otherThings, `fieldSelector=${selector}&${from}`),
      watch(`${when}: ${selector} as tables`, things, `fieldSelector=${selector}&${from}`, table),
    ],
  );

const customFields: Scenario = {
  name: "fields of custom objects",
  steps: [
    ...ownNamespace("watch-colours"),
    ...colours("at first", all),
    write("a is made", "POST", things, thing("a", "red")),
    write("b is made", "POST", things, thing("b", "blue")),
    colour("a turns blue", "a", "blue"),
    colour("b turns red", "b", "red"),
    ...colours("amid", "resourceVersion={after:a is made}"),
    colour("a has no colour", "a", null),
    colour("a turns red", "a", "red"),
    write("a is deleted", "DELETE", `${things}/a`),
    write("b is replaced", "PUT", `${things}/b`, thing("b", "blue")),
    write("all are deleted", "DELETE", things),
    ...colours("at last", "resourceVersion={after:b is made}"),
  ],
};

const spaces = "/api/v1/namespaces";
const spaceWatches = (when: string, from: string): readonly Watch[] =>
  ["fieldSelector=metadata.name%3Dwatch-space", "labelSelector=space", "fieldSelector=status.phase%3DTerminating"].map(
    (query) => watch(`${when}: ${query}`, spaces, `${query}&${from}`),
  );

const terminating: Scenario = {
  name: "a namespace that goes",
  steps: [
    ...spaceWatches("at first", all),
    write("it is made", "POST", spaces, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "watch-space", labels: { space: "" } },
    }),
    write("it is to go", "DELETE", `${spaces}/watch-space`),
    ...spaceWatches("amid", "resourceVersion=0"),
    write("it is let go", "PUT", `${spaces}/watch-space/finalize`, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "watch-space", labels: { space: "" } },
      spec: {},
    }),
    write("it goes", "DELETE", `${spaces}/watch-space`),
    ...spaceWatches("at last", "resourceVersion={after:it is made}"),
  ],
};

const mapsOf = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps`;
const map = (name: string): Json => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name } });

const endingMaps = mapsOf("watch-ends");

/** Nothing is written meanwhile, so that it does not matter how long their beginning takes. */
const ends: Scenario = {
  name: "watches that end",
  steps: [
    ...ownNamespace("watch-ends"),
    write("a is made", "POST", endingMaps, map("a")),
    write("b is made", "POST", endingMaps, map("b")),
    ...[
      ["soon", "timeoutSeconds=1&fieldSelector=metadata.name%3Da"],
      ["soon, with bookmarks", "timeoutSeconds=1&allowWatchBookmarks=true&fieldSelector=metadata.name%3Da"],
      ["later", "timeoutSeconds=5"],
      ["later, with bookmarks", "timeoutSeconds=5&allowWatchBookmarks=true"],
      [
        "later, with bookmarks from a revision",
        "timeoutSeconds=5&allowWatchBookmarks=true&resourceVersion={after:a is made}",
      ],
      ["later, all", `timeoutSeconds=5&${all}`],
      ["later, of nothing", "timeoutSeconds=5&allowWatchBookmarks=true&labelSelector=none"],
    ].map(([what, query]) => ending(watch(`ends ${what}`, endingMaps, query ?? ""))),
    ending(watch("tables end", endingMaps, `timeoutSeconds=5&${all}`, table)),
    ending(watch("metadata ends", endingMaps, `timeoutSeconds=5&${all}`, partial)),
    ending(watch("protobuf ends", endingMaps, `timeoutSeconds=5&${all}`, protobuf)),
    ending(watch("a watch of CBOR", endingMaps, "", "application/cbor")),
  ],
};

const futureMaps = mapsOf("watch-future");

const future: Scenario = {
  name: "watches of the future",
  steps: [
    ...ownNamespace("watch-future"),
    write("a is made", "POST", futureMaps, map("a")),
    ...[
      ["of the future", "resourceVersion={future:a is made}&timeoutSeconds=6"],
      ["of the future with bookmarks", "resourceVersion={future:a is made}&timeoutSeconds=6&allowWatchBookmarks=true"],
      ["of the future's present", `resourceVersion={future:a is made}&timeoutSeconds=20&${all}`],
    ].map(([what, query]) => ending(watch(`a watch ${what}`, futureMaps, query ?? ""))),
    write("b is made", "POST", futureMaps, map("b")),
  ],
};

export const selectionScenarios: readonly Scenario[] = [fields, customFields, terminating, ends, future];
