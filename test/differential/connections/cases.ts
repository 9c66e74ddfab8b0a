/** Connections to pods, Services and boards, and what webhooks and policies make of them or say of them. */

type Fields = Readonly<Record<string, unknown>>;

/** Its options are fields of an object: PodExecOptions, PodAttachOptions, PodPortForwardOptions, or those of a proxy. */
export interface Connection {
  readonly resource: "pods" | "services" | "nodes";
  readonly subresource: "exec" | "attach" | "portforward" | "proxy";
  /** What follows the subresource. */
  readonly query: string;
  /** Steps of a patch, and the same as expressions of a policy. */
  readonly patch: readonly {
    readonly op: "add" | "replace" | "remove";
    readonly path: string;
    readonly value?: unknown;
  }[];
  readonly applied: string;
  /** An expression that holds for this connection as it is asked for, and not as it is changed. */
  readonly isAsAsked: string;
}

export const connections: Readonly<Record<string, Connection>> = {
  exec: {
    resource: "pods",
    subresource: "exec",
    query: "?command=a&command=b&container=main&stdout=true",
    patch: [
      { op: "replace", path: "/command", value: ["c d", "e&f"] },
      { op: "add", path: "/container", value: "side" },
      { op: "add", path: "/stdin", value: true },
      { op: "remove", path: "/stdout" },
    ],
    applied: "Object{container: 'side', stdin: true, stdout: false}",
    isAsAsked: "object.command == ['a', 'b'] && object.container == 'main'",
  },
  attach: {
    resource: "pods",
    subresource: "attach",
    query: "?container=main&stdout=true",
    patch: [
      { op: "replace", path: "/container", value: "side" },
      { op: "add", path: "/tty", value: true },
    ],
    applied: "Object{container: 'side', tty: true}",
    isAsAsked: "object.container == 'main'",
  },
  "port-forward": {
    resource: "pods",
    subresource: "portforward",
    query: "?ports=80",
    patch: [{ op: "add", path: "/ports", value: [81, 82] }],
    applied: "Object{ports: [83]}",
    isAsAsked: "object.ports == [80]",
  },
  "pod-proxy": {
    resource: "pods",
    subresource: "proxy",
    query: "/asked?q=1",
    patch: [{ op: "replace", path: "/path", value: "/changed it/../x%y/" }],
    applied: "Object{path: '/applied'}",
    isAsAsked: "object.path == '/asked'",
  },
  "node-proxy": {
    resource: "nodes",
    subresource: "proxy",
    query: "/asked/?q=1",
    patch: [{ op: "replace", path: "/path", value: "changed" }],
    applied: "Object{path: ''}",
    isAsAsked: "object.path == '/asked/'",
  },
};

/** What the cluster is told to do with a connection of one name. */
export type Interference =
  | { readonly kind: "none" }
  | { readonly kind: "webhook"; readonly mutating: boolean; readonly said: Fields; readonly fields?: Fields }
  | { readonly kind: "policy"; readonly mutating: boolean; readonly spec: Fields };

const patched = (steps: unknown): Fields => ({
  allowed: true,
  patchType: "JSONPatch",
  patch: Buffer.from(JSON.stringify(steps)).toString("base64"),
});
const refused = (status: Fields): Fields => ({ allowed: false, status });

/** By name, for each connection. */
export function interferencesOf({
  patch,
  applied,
  isAsAsked,
}: Connection): Readonly<Record<string, readonly Interference[]>> {
  const webhook = (mutating: boolean, said: Fields, fields?: Fields): Interference => ({
    kind: "webhook",
    mutating,
    said,
    ...(fields ? { fields } : {}),
  });
  const policy = (mutating: boolean, spec: Fields): Interference => ({ kind: "policy", mutating, spec });
  const judged = (validations: readonly Fields[], more: Fields = {}): Interference =>
    policy(false, { validations, ...more });
  const changed = webhook(true, patched(patch));
  const steps = patch
    .filter(({ op }) => op !== "remove")
    .map(({ path, value }) => `JSONPatch{op: 'add', path: '${path}', value: ${celOf(value)}}`);
  return {
    plain: [{ kind: "none" }],
    "webhook-changes": [changed],
    "webhook-changes-nothing": [webhook(true, patched([]))],
    "webhook-adds-nonsense": [webhook(true, patched([{ op: "add", path: "/nonsense", value: 1 }]))],
    "webhook-wrong-type": [
      webhook(
        true,
        patched([
          { op: "add", path: "/container", value: 7 },
          { op: "add", path: "/path", value: 7 },
        ]),
      ),
    ],
    "webhook-renames": [webhook(true, patched([{ op: "add", path: "/metadata", value: { name: "x" } }]))],
    "webhook-refuses": [webhook(true, refused({ message: "not here", code: 418 }))],
    "validating-refuses": [webhook(false, refused({ message: "not so", reason: "Forbidden" }))],
    "validating-warns": [webhook(false, { allowed: true, warnings: ["mind it"], auditAnnotations: { seen: "yes" } })],
    "validating-patches": [webhook(false, patched(patch))],
    "changed-then-judged": [changed, judged([{ expression: isAsAsked, message: "it is changed" }])],
    "condition-of-options": [
      webhook(true, patched(patch), { matchConditions: [{ name: "asked", expression: `!(${isAsAsked})` }] }),
    ],
    "policy-refuses": [
      judged([{ expression: `!(${isAsAsked})`, messageExpression: "request.operation + ' ' + request.kind.kind" }]),
    ],
    "policy-allows": [judged([{ expression: isAsAsked }])],
    "policy-old": [judged([{ expression: "oldObject == null && has(object.kind) && object.metadata.name == ''" }])],
    "policy-fails": [judged([{ expression: "object.metadata.labels['x'] == 'y'" }])],
    "policy-applies": [
      policy(true, { mutations: [{ patchType: "ApplyConfiguration", applyConfiguration: { expression: applied } }] }),
    ],
    "policy-patches": [
      policy(true, { mutations: [{ patchType: "JSONPatch", jsonPatch: { expression: `[${steps.join(", ")}]` } }] }),
    ],
  };
}

function celOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(celOf).join(", ")}]`;
  return typeof value === "string" ? `'${value}'` : String(value);
}
