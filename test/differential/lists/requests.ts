/**
 * What becomes of each list of each built-in kind as two managers apply it and a third updates it: added to, in conflict, taken
 * over, given up, reordered, empty, left out. A list that several kinds share is asked about in the first of them.
 */
import { statuses } from "../updates/statuses.ts";
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "../wire/request.ts";
import { collectionOf, type Held, held, keepsName } from "../wire/world.ts";
import { elementOf, type ListPlace, listAlone, listsOf, reworded, withList } from "./items.ts";

const own = "wire-lists";
const send = sender("list");

/** What pods hold is asked about where it may be changed; volumes where nothing mounts them. */
const first = ["podTemplate", "deployment", "job", "loadBalancerService"];
const volumes = /^(?!PodSpec).*(Volume|Projection)/;
/** Kinds that a controller in upstream's API server writes at once: how far it is, nobody knows. */
const followed = new Set(["apiService", "customResourceDefinition", "flowSchema"]);
const kinds = held.filter(({ sample }) => sample !== "flowSchema").sort((a, b) => rank(a.sample) - rank(b.sample));
function rank(sample: string): number {
  const found = first.indexOf(sample);
  return found < 0 ? first.length : found;
}

/** What no two objects may have, or a pod's volume that others mount. */
function free({ sample, object }: Held): Json {
  const spec = object["spec"] as Json;
  if (sample === "loadBalancerService") {
    const { healthCheckNodePort: _, ...rest } = spec;
    return { ...object, spec: { ...rest, ports: [{ port: 443 }] } };
  }
  if (sample === "podTemplate") return { ...object, template: withVolume(object["template"], { name: "work" }) };
  if (sample !== "deployment") return object;
  return { ...object, spec: { ...spec, template: withVolume(spec["template"], { name: "work", emptyDir: {} }) } };
}

/** Names are accepted a moment after they change, which whoever writes next meets or does not meet. */
const asked = new Set(["CustomResourceDefinitionNames.shortNames", "CustomResourceDefinitionNames.categories"]);
function isUnasked(sample: string, { declared }: ListPlace): boolean {
  if (asked.has(declared) || (sample === "podTemplate" && !volumes.test(declared))) return false;
  asked.add(declared);
  return true;
}

function withVolume(template: unknown, volume: Json): Json {
  const { spec, ...rest } = template as Json;
  return { ...rest, spec: { ...(spec as Json), volumes: [volume] } };
}

interface Subject {
  readonly name: string;
  readonly object: Json;
  readonly path: string;
  readonly collection: string;
}

function subjectOf(each: Held, at: number): Subject {
  const { sample, kind } = each;
  const object = free(each);
  const collection = collectionOf(kind, own);
  const { namespace: _, ...metadata } = object["metadata"] as Json;
  const name = keepsName.has(sample) ? String(metadata["name"]) : `list-${sample.toLowerCase()}-${at}`;
  return { name, object: { ...object, metadata: { ...metadata, name } }, path: `${collection}/${name}`, collection };
}

function moves(what: string, { name, object, path }: Subject, place: ListPlace, below: string): WireRequest[] {
  const { apiVersion, kind } = object as { apiVersion: string; kind: string };
  const [a, b, c] = [0, 1, 2].map((n) => elementOf(place.schema, n, place.elements, place.declared.split(".").at(-1)));
  const whole = (list: readonly unknown[] | undefined): Json =>
    withList(below === "" ? object : { apiVersion, kind, metadata: { name } }, place.path, list);
  const alone = (list: readonly unknown[]): Json => ({
    apiVersion,
    kind,
    metadata: { name },
    ...listAlone(place.path, list),
  });
  const apply = (how: string, manager: string, body: Json, more = ""): WireRequest =>
    send(
      `${what} ${how}`,
      "PATCH",
      `${path}${below}?fieldManager=${manager}${more}`,
      body,
      "application/apply-patch+yaml",
    );
  return [
    apply("applied", "one", whole([a, b])),
    apply("beside", "two", alone([reworded(place.schema, b), c])),
    apply("taken over", "two", alone([reworded(place.schema, b), c]), "&force=true"),
    apply("given up in part", "one", whole([a])),
    send(`${what} updated`, "PUT", `${path}${below}?fieldManager=editor`, (live) => withList(live, place.path, [c, a])),
    apply("after the update", "one", whole([a, b])),
    apply("empty", "two", alone([])),
    apply("left out", "one", whole(undefined)),
    send(`${what} read`, "GET", path),
  ];
}

function groupOf(each: Held): WireGroup {
  const { sample } = each;
  const object = free(each);
  const status = statuses[sample];
  const requests = listsOf(object, (field) => !/^(metadata|status)$/.test(field))
    .filter((place) => isUnasked(sample, place))
    .flatMap((place, index) => moves(`${sample} ${place.declared}`, subjectOf(each, index), place, ""));
  // All of them are about the one definition, which is established a moment after it is made.
  if (sample === "customResourceDefinition") {
    const { path, collection, object: made } = subjectOf(each, 0);
    const later = `${path.replace(/\/[^/]+$/, "")}?watch=1&labelSelector=none&timeoutSeconds=3`;
    requests.unshift(
      send("definition made", "POST", `${collection}?fieldManager=maker`, made),
      send("until the definition is established", "GET", later),
    );
  }
  if (status && !followed.has(sample)) {
    const places = listsOf({ ...object, status }, (field) => field === "status").filter((place) =>
      isUnasked(sample, place),
    );
    for (const [index, place] of places.entries()) {
      const subject = subjectOf(each, 100 + index);
      requests.push(
        send(`${sample} for ${place.declared}`, "POST", `${subject.collection}?fieldManager=maker`, subject.object),
        ...moves(`${sample} ${place.declared}`, subject, place, "/status"),
      );
    }
  }
  return { name: `lists of ${sample}`, inOrder: true, requests };
}

export const groups: readonly WireGroup[] = [
  {
    name: "namespace",
    inOrder: true,
    requests: [
      ...ownNamespace(send, own),
      send("builder", "POST", `/api/v1/namespaces/${own}/serviceaccounts`, {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata: { name: "builder" },
      }),
    ],
  },
  ...kinds.map(groupOf).filter(({ requests }) => requests.length > 0),
];
