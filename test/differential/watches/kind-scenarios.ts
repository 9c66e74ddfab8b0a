/** For every kind: objects come, begin and cease to match, and go, while watches of all sorts look on. */
import { type Sample, samples } from "../resources/samples.ts";
import { withValue } from "../wire/places.ts";
import type { Json } from "../wire/request.ts";
import { collectionOf, harmless, keepsName, placedObject } from "../wire/world.ts";
import { customKind, definitionSteps, otherVersion } from "./custom-kind.ts";
import type { AnyStep, Scenario, Watch } from "./scenario.ts";
import { all, label, merge, ownNamespace, partial, protobuf, read, table, watch, write } from "./steps.ts";

interface Kind {
  readonly name: string;
  /** Where its objects are. */
  readonly collection: string;
  /** The same over all namespaces. */
  readonly everywhere: string;
  readonly namespace: string | undefined;
  readonly object: Json;
  /** One that some of its objects do not match. */
  readonly fields?: string;
  readonly setting?: readonly AnyStep[];
}

const fields: Readonly<Record<string, string>> = {
  pod: "spec.restartPolicy!=Never,status.phase!=Running",
  secret: "type=Opaque",
  namespace: "status.phase=Active",
  event: "reason=Tried",
  certificateSigningRequest: "spec.signerName!=a.b/c",
};

const on = "labelSelector=turn%3Don";

/** Watches that begin with what is there. */
const beginnings = (at: string, { collection, everywhere, fields: own }: Kind): readonly Watch[] => {
  const begin = (what: string, query: string, accept?: string, path = collection): Watch =>
    watch(`${at}: ${what}`, path, query, accept);
  return [
    begin("from no revision", ""),
    begin("from any revision", "resourceVersion=0"),
    begin("all, then a bookmark", all),
    begin("all from any revision", `resourceVersion=0&${all}`),
    begin("all of a label", `${on}&${all}`),
    begin("of a label", on),
    begin("not of a label", "labelSelector=turn!%3Don,other"),
    begin("of a name", "fieldSelector=metadata.name%3Da"),
    begin("as tables", `fieldSelector=metadata.name%3Da&${all}`, table),
    begin("as tables of a label", on, table),
    begin("metadata", all, partial),
    begin("in protobuf", `${on}&${all}`, protobuf),
    begin("without the present", "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"),
    begin("everywhere, of a label", `labelSelector=other,turn%3Don`, undefined, everywhere),
    ...(own ? [begin("of a field", `fieldSelector=${encodeURIComponent(own)}`)] : []),
  ];
};

/** Watches that go on from what was. */
const continuations = (at: string, from: string, { collection }: Kind): readonly Watch[] => {
  const begin = (what: string, query: string, accept?: string, path = collection): Watch =>
    watch(`${at}: ${what} from ${from}`, path, `resourceVersion={after:${from}}&${query}`, accept);
  const old = collection.replace(/^\/(api\/v1|apis\/[^/]+\/[^/]+)/, "/$1/watch");
  return [
    begin("everything", ""),
    begin("of a label", on),
    begin("of a name", "fieldSelector=metadata.name%3Da"),
    begin("of the present too", all),
    begin("tables", "", table),
    begin("metadata of a label", on, partial),
    begin("without the present", "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"),
    begin("by the old path", "", undefined, old),
    begin("one by the old path", "", undefined, `${old}/a`),
    begin("with a limit", "limit=1"),
  ];
};

function scenarioOf(kind: Kind): Scenario {
  const { collection, object, namespace } = kind;
  const named = (name: string): Json => {
    const metadata = { ...(object["metadata"] as Json), name, labels: { other: name } };
    return { ...object, metadata };
  };
  const at = (name: string): string => `${collection}/${name}`;
  return {
    name: kind.name,
    steps: [
      ...(namespace ? ownNamespace(namespace) : []),
      ...(kind.setting ?? []),
      ...beginnings("at first", kind),
      write("a is made", "POST", collection, named("a")),
      write("b is made", "POST", collection, named("b")),
      read("two", `${collection}?labelSelector=other`),
      label("a begins to match", at("a"), { turn: "on" }),
      merge("a is annotated", at("a"), { metadata: { annotations: { note: "one" } } }),
      ...beginnings("amid", kind),
      ...continuations("amid", "a is made", kind),
      { ...merge("nothing changes", at("a"), { metadata: { annotations: { note: "one" } } }), isIdle: true },
      label("a ceases to match", at("a"), { turn: null }),
      label("b begins to match", at("b"), { turn: "on" }),
      merge("b is held", at("b"), { metadata: { finalizers: ["example.com/hold"] } }),
      write("b is deleted", "DELETE", `${at("b")}?gracePeriodSeconds=0`),
      merge("b is let go", at("b"), { metadata: { finalizers: null } }),
      write("a is deleted", "DELETE", `${at("a")}?gracePeriodSeconds=0`),
      write("a is made again", "POST", collection, named("a")),
      write("c is made", "POST", collection, named("c")),
      ...(namespace ? [write("all are deleted", "DELETE", `${collection}?gracePeriodSeconds=0`)] : []),
      ...(namespace
        ? []
        : ["a", "c"].map((name) => write(`${name} goes`, "DELETE", `${at(name)}?gracePeriodSeconds=0`))),
      ...continuations("at last", "a begins to match", kind),
    ],
  };
}

/** Kinds of which servers have objects of their own, or write to those of others. */
const left = new Set([
  "namespace",
  "event",
  "eventV1",
  "clusterRole",
  "clusterRoleBinding",
  "serviceCIDR",
  "flowSchema",
  "priorityLevelConfiguration",
  "validatingAdmissionPolicy",
]);

function kindOf(name: string, sample: Sample): Kind {
  const namespace = sample.namespaced ? `watch-${name.toLowerCase()}` : undefined;
  let object = placedObject(sample, namespace);
  for (const [path, value] of harmless[name] ?? []) object = withValue(object, path, value);
  const own = fields[name];
  return {
    name,
    collection: collectionOf(sample, namespace),
    everywhere: collectionOf({ ...sample, namespaced: false }),
    namespace,
    object,
    ...(own !== undefined && { fields: own }),
  };
}

const seen = new Set<string>();
const kinds = Object.entries(samples)
  .filter(([name]) => !keepsName.has(name) && !left.has(name))
  .filter(([, sample]) => !seen.has(collectionOf(sample)) && seen.add(collectionOf(sample)))
  .map(([name, sample]) => kindOf(name, sample));

const customNamespace = "watch-custom";
const customs = [customKind, otherVersion].map((version, index): Kind => {
  const path = `/apis/watched.example.com/${version}`;
  return {
    name: `custom ${version}`,
    collection: `${path}/namespaces/${customNamespace}${index}/things`,
    everywhere: `${path}/things`,
    namespace: `${customNamespace}${index}`,
    object: {
      apiVersion: `watched.example.com/${version}`,
      kind: "Thing",
      metadata: {},
      spec: { colour: "red", size: 1 },
    },
    fields: "spec.colour=red",
    setting: index === 0 ? definitionSteps : [],
  };
});

export const kindScenarios: readonly Scenario[] = [...kinds, ...customs].map(scenarioOf);
