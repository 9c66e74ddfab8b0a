/**
 * Where Bramble answers otherwise on purpose. Everything else is as upstream's, or stands in gaps.json.br.
 *
 * What describes a table's column is not compared (`answer.ts`): upstream has sentences there, of its sources or of its
 * types' documentation. Neither is in the repository; clients show columns by their names.
 */
import type { WireAnswer } from "./answer.ts";
import type { WireRequest } from "./request.ts";

export interface Difference {
  readonly reason: string;
  /** Whether this is why these two differ. */
  explains(request: WireRequest, upstream: WireAnswer, ours: WireAnswer): boolean;
}

/** What Bramble's API server does itself: upstream's controller manager writes the type checking of a policy. */
function withoutTypeChecking(value: unknown): unknown {
  if (typeof value === "string" && value.startsWith('{"object":')) return withoutTypeChecking(JSON.parse(value));
  if (Array.isArray(value)) return value.map(withoutTypeChecking);
  if (value === null || typeof value !== "object") return value;
  const { status, managedFields, ...rest } = value as Record<string, unknown>;
  const isChecking = (each: unknown): boolean => /"f:typeChecking"/.test(JSON.stringify(each ?? ""));
  return {
    ...Object.fromEntries(Object.entries(rest).map(([key, item]) => [key, withoutTypeChecking(item)])),
    ...(status !== undefined && { status: withoutChecked(status) }),
    ...(Array.isArray(managedFields) && { managedFields: managedFields.filter((each) => !isChecking(each)) }),
  };
}

function withoutChecked(status: unknown): unknown {
  if (status === null || typeof status !== "object") return status;
  const { typeChecking: _, observedGeneration: __, ...rest } = status as Record<string, unknown>;
  return rest;
}

/** Without what `remove` takes out of a copy of the body. */
function withoutPart(answer: WireAnswer, remove: (body: Record<string, never>) => void): unknown {
  const copy = structuredClone(answer) as unknown as { body: Record<string, never> };
  remove(copy.body);
  return copy;
}

type Causes = readonly { readonly reason: string; readonly message: string; readonly field: string }[];
const causesOf = ({ body }: WireAnswer): Causes =>
  (parsedBody(body) as { details?: { causes?: Causes } } | undefined)?.details?.causes ?? [];

/** Where order counts, JSON is compared as text. */
const parsedBody = (body: unknown): unknown =>
  typeof body === "string" && body.startsWith("{") ? JSON.parse(body) : body;

function sortedCauses(answer: unknown): unknown {
  const { causes, ...details } =
    (answer as { body?: { details?: { causes?: { message?: string }[] } } }).body?.details ?? {};
  const told = (causes ?? []).map(({ message = "", ...cause }) => ({ ...cause, message: withoutStructure(message) }));
  const texts = [...new Set(told.map((cause) => JSON.stringify(cause)))].sort();
  return { ...(answer as WireAnswer), body: { ...((answer as WireAnswer).body as object), details, causes: texts } };
}

const withoutStructure = (message: string): string => message.replace(/^(\w+ value): [[{].*[\]}](?=: )/s, "$1: …");

const without = (answer: WireAnswer, pattern: RegExp, instead = "…"): unknown =>
  JSON.parse(JSON.stringify(answer).replace(pattern, instead));

/** Without the empty lists where upstream, which writes null there, has nothing. */
function withoutAddedLists(ours: unknown, upstream: unknown): unknown {
  if (Array.isArray(ours)) {
    return ours.map((each, index) => withoutAddedLists(each, Array.isArray(upstream) ? upstream[index] : undefined));
  }
  if (ours === null || typeof ours !== "object") return ours;
  const there = (typeof upstream === "object" && upstream !== null ? upstream : {}) as Readonly<
    Record<string, unknown>
  >;
  return Object.fromEntries(
    Object.entries(ours)
      .filter(([key, value]) => key in there || !(Array.isArray(value) && value.length === 0))
      .map(([key, value]) => [key, withoutAddedLists(value, there[key])]),
  );
}

function dropManagers({ metadata }: { readonly metadata?: { managedFields?: unknown } }): void {
  if (metadata) delete metadata.managedFields;
}

/** Without upstream's nulls where ours has nothing. */
function withoutAbsentNulls(upstream: unknown, ours: unknown): unknown {
  if (Array.isArray(upstream)) {
    return upstream.map((each, index) => withoutAbsentNulls(each, Array.isArray(ours) ? ours[index] : undefined));
  }
  if (upstream === null || typeof upstream !== "object") return upstream;
  const there = (typeof ours === "object" && ours !== null ? ours : {}) as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    Object.entries(upstream)
      .filter(([key, value]) => value !== null || Object.hasOwn(there, key))
      .map(([key, value]) => [key, withoutAbsentNulls(value, there[key])]),
  );
}

const templateGeneration = /,?"annotations":\{"deprecated.daemonset.template.generation":"\d+"\}/g;

function withoutLastCells(answer: WireAnswer): unknown {
  return withoutPart(answer, (body) => {
    const { columnDefinitions = [], rows = [] } = body as {
      columnDefinitions?: unknown[];
      rows?: { cells: unknown[] }[];
    };
    for (const row of rows) row.cells.length = Math.min(row.cells.length, columnDefinitions.length);
  });
}

/** Rules of the roles for boards, the dashboard and whoever joins. */
const ownUrls = /^\/(cacerts|bramble|install\.sh|dashboard)/;

function dropOwnRules({ status }: { readonly status?: { nonResourceRules?: { nonResourceURLs?: string[] }[] } }): void {
  if (!status?.nonResourceRules) return;
  status.nonResourceRules = status.nonResourceRules.filter(
    ({ nonResourceURLs = [] }) => !nonResourceURLs.every((url) => ownUrls.test(url)),
  );
}

/** Upstream lists them as it happens to find bindings. */
function sortRules({ status }: { readonly status?: Record<string, unknown[]> }): void {
  for (const rules of Object.values(status ?? {})) {
    if (!Array.isArray(rules)) continue;
    rules.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
}

interface DiscoveredGroup {
  readonly metadata: { readonly name?: string };
  readonly versions: { readonly version: string; readonly resources?: readonly DiscoveredResource[] }[];
}
interface DiscoveredResource {
  responseKind: { group: string; version: string };
  readonly subresources?: readonly DiscoveredResource[];
}

/** The kinds of answers written out. */
function sayKinds(body: { items?: DiscoveredGroup[] }): void {
  for (const { metadata, versions } of body.items ?? [])
    for (const { version, resources = [] } of versions)
      for (const resource of resources)
        for (const each of [resource, ...(resource.subresources ?? [])])
          if (each.responseKind.version === "")
            each.responseKind = { ...each.responseKind, group: metadata.name ?? "", version };
}

export const differences: readonly Difference[] = [
  {
    reason:
      "A number that a field of 32 bits cannot hold is refused in a strategic patch too; upstream wraps it around.",
    explains: ({ name }, _, ours) =>
      /^subresource scale .* over int32 merged strategically$/.test(name) && ours.code === 422,
  },
  {
    reason:
      "Upstream panics where items of a list that is merged by no key are put in order; Bramble says what is wrong.",
    explains: ({ name }, upstream, ours) => name.startsWith("directive ") && upstream.code === 0 && ours.code === 500,
  },
  {
    reason: "Where a strategic patch has an unknown field in a map, upstream leaves the key out of its path.",
    explains: ({ name }, upstream, ours) => {
      const key = /(unknown field [^,]*\battributes\.)\w+\.(?=[$\w])/g;
      return (
        /^(directive|fields) resourceSlice .*attributes/.test(name) &&
        Bun.deepEquals(upstream, without(ours, key, "$1") as WireAnswer)
      );
    },
  },
  {
    reason: "Data of a ControllerRevision are bytes to upstream: the same value with a key twice is another.",
    explains: ({ name }, upstream, ours) =>
      name.startsWith("fields controllerRevision data") && upstream.code === 422 && ours.code === 200,
  },
  {
    reason:
      "Of a kind of answer that is its resource's, upstream's discovery leaves out group and version; Bramble says them.",
    explains: ({ path }, upstream, ours) =>
      path === "/api" &&
      upstream.code === 200 &&
      typeof upstream.body === "object" &&
      Bun.deepEquals(withoutPart(upstream, sayKinds), ours as unknown),
  },
  {
    reason: "Each says at which port it is itself.",
    explains: ({ path }, upstream, ours) => {
      const port = /(?<="targetPort":)\d+/;
      return (
        path.endsWith("/services/kubernetes") && Bun.deepEquals(without(upstream, port, "0"), without(ours, port, "0"))
      );
    },
  },
  {
    reason: "Each says what it is built from.",
    explains: ({ path }, upstream, ours) =>
      path === "/version" &&
      upstream.code === 200 &&
      upstream.type === ours.type &&
      Bun.deepEquals(Object.keys(upstream.body ?? {}).sort(), Object.keys(ours.body ?? {}).sort()),
  },
  {
    reason:
      "Upstream fails on a custom object asked for as a list, and tells of others that they are none; Bramble tells of all.",
    explains: (_, upstream, ours) =>
      upstream.code === 500 &&
      (upstream.body as { message?: string }).message === "content is not a list" &&
      ours.code === 406,
  },
  {
    reason:
      "A list that every object of its kind has stays a list when it is empty; Go writes null, and its clients read either.",
    explains: (_, upstream, ours) => Bun.deepEquals(withoutAddedLists(ours, upstream), upstream),
  },
  {
    reason:
      "What a Go struct always has, lists and times, it writes as null where there is none; Bramble writes nothing.",
    explains: ({ exact }, upstream, ours) =>
      exact === true && Bun.deepEquals(withoutAbsentNulls(upstream, ours), ours as unknown),
  },
  {
    reason: "Empty bytes in a map are left out of their entry in protobuf, where they are read alike.",
    explains: (_, upstream, ours) => {
      const emptyBytes = /,\["2","\\"\\""\]/g;
      return (
        upstream.type.includes("protobuf") &&
        Bun.deepEquals(without(upstream, emptyBytes, ""), without(ours, emptyBytes, ""))
      );
    },
  },
  {
    reason:
      "In a list that is owned as a whole upstream compares times with the fractions that it does not keep, and gives the list to whoever sends one.",
    explains: ({ name }, upstream, ours) =>
      /^null job\/status \{"conditions"/.test(name) &&
      Bun.deepEquals(withoutAbsentNulls(withoutPart(upstream, dropManagers), ours), withoutPart(ours, dropManagers)),
  },
  {
    reason: "A deletion at the zero time is none; Go keeps a pointer to it, which is another value than no pointer.",
    explains: ({ name }, upstream, ours) =>
      name.includes('{"deletionTimestamp":"0001-01-01T00:00:00Z"}') && upstream.code === 422 && ours.code === 200,
  },
  {
    reason: "Upstream panics on a few objects and breaks the connection; Bramble answers.",
    explains: (_, upstream, ours) => upstream.code === 0 && ours.code > 0 && ours.code !== 500,
  },
  {
    reason: "The text after `cannot unmarshal` names types and embedded structs of upstream's Go source.",
    explains: (_, upstream, ours) => {
      const goNames = /into Go (?:struct field|value of type) .*?(?=\\?")/g;
      return Bun.deepEquals(without(upstream, goNames), without(ours, goNames));
    },
  },
  {
    reason: "Upstream's controller manager checks the types of policies, and there is none beside the recorded server.",
    explains: ({ path }, upstream, ours) =>
      path.includes("/validatingadmissionpolicies") &&
      Bun.deepEquals(withoutTypeChecking(upstream), withoutTypeChecking(ours)),
  },
  {
    reason: "What a parser of CEL or YAML expected instead; the place is told alike.",
    explains: (_, upstream, ours) => {
      const expected = /(?:Syntax error: |yaml: ).*?(?=\\n|\\?")/g;
      return Bun.deepEquals(without(upstream, expected), without(ours, expected));
    },
  },
  {
    reason:
      "A whole structure in an error's text: by the names of upstream's internal types, which has nil beside empty.",
    explains: (_, upstream, ours) => {
      const structure = /value: (?:null|\[\]|[[{].*?[\]}])(?=: |[,"])/g;
      return (
        Bun.deepEquals(sortedCauses(upstream), sortedCauses(ours)) ||
        Bun.deepEquals(sortedCauses(without(upstream, structure)), sortedCauses(without(ours, structure)))
      );
    },
  },
  {
    reason: "The byte at which base64 text is found wrong; Go's decoder counts in groups of four.",
    explains: (_, upstream, ours) => {
      const byte = /illegal base64 data at input byte \d+/g;
      return Bun.deepEquals(without(upstream, byte), without(ours, byte));
    },
  },
  {
    reason: "Upstream fails where Bramble says what is wrong with the object: its allocators and bindings come first.",
    explains: (_, upstream, ours) => upstream.code === 500 && ours.code === 422 && causesOf(ours).length > 0,
  },
  {
    reason:
      "A dry run of upstream does not look whether a node port is in the range, and promises what a create refuses.",
    explains: ({ path, name }, upstream, ours) =>
      path.includes("/services?dryRun=All") &&
      name.endsWith("nodePort -1") &&
      upstream.code === 201 &&
      ours.code === 422,
  },
  {
    reason:
      "Upstream's metadata of a DaemonSet alone lacks an annotation that the object has: it is made by the conversion left out.",
    explains: ({ path }, upstream, ours) =>
      path.includes("/daemonsets") && Bun.deepEquals(upstream, without(ours, templateGeneration, "")),
  },
  {
    reason: "A row of upstream's table of IPAddresses has a cell more than there are columns.",
    explains: ({ path }, upstream, ours) =>
      path.includes("/ipaddresses") && Bun.deepEquals(withoutLastCells(upstream), ours as unknown),
  },
  {
    reason: "Bramble has roles of its own beside upstream's.",
    explains: ({ name }, upstream, ours) =>
      name.includes("review rules") &&
      Bun.deepEquals(
        withoutPart(upstream, sortRules),
        withoutPart(withoutPart(ours, dropOwnRules) as WireAnswer, sortRules),
      ),
  },
  {
    reason: "Upstream warns of the template that a ReplicationController had, Bramble of the one that it gets.",
    explains: ({ path }, { warnings: _, ...upstream }, { warnings: __, ...ours }) =>
      path.includes("/replicationcontrollers/") && Bun.deepEquals(upstream, ours),
  },
  {
    reason:
      "Upstream takes a volume's node affinity without a key, which is invalid alike, for one of a renamed label.",
    explains: ({ path }, upstream, ours) =>
      path.includes("/persistentvolumes/") &&
      ours.code === 422 &&
      Bun.deepEquals(
        causesOf(upstream),
        causesOf(ours).filter(({ field }) => field !== "nodeAffinity"),
      ),
  },
  {
    reason:
      "Applying a claim's dataSource as it stands changes nothing; upstream compares it with a null that Go writes.",
    explains: ({ name }) => /^patch persistentVolumeClaim apply all of it/.test(name),
  },
  {
    reason: "A dependency in a schema that is neither schema nor list is dropped where it is read.",
    explains: ({ name }) => name.includes('openAPIV3Schema.dependencies {"bad key!":"Bad Value!"}'),
  },
];
