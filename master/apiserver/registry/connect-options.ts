/** The options of a connection, which stand in its query, as an object (PodExecOptions and the like). */
import { posix } from "node:path";
import { apiVersionOf, type GroupVersionKind, type KubeObject } from "#shared/api/object.ts";
import { isTrue } from "#shared/http/query-flag.ts";
import { portsOf } from "../query-values.ts";
import type { RequestContext } from "../request.ts";

/** What a field is in a query; undefined: left out. */
type Reader = (query: URLSearchParams, field: string) => unknown;

const text: Reader = (query, field) => query.get(field) || undefined;
const flag: Reader = (query, field) => isTrue(query.get(field) ?? "false") || undefined;
const list: Reader = (query, field) => unlessEmpty(query.getAll(field));
const ports: Reader = (query) => unlessEmpty(portsOf(query));

const unlessEmpty = <T>(values: readonly T[]): readonly T[] | undefined => (values.length > 0 ? values : undefined);

const streams = { stdin: flag, stdout: flag, stderr: flag, tty: flag, container: text };
const fieldsOfKind: Readonly<Record<string, Readonly<Record<string, Reader>>>> = {
  PodAttachOptions: streams,
  PodExecOptions: { ...streams, command: list },
  PodPortForwardOptions: { ports },
};

/** What stands in the query beside the kind's own fields is no part of it; a proxy's path is that of the request. Throws
 *  BadRequest. */
export function connectOptions(kind: GroupVersionKind, { query, info }: RequestContext): KubeObject {
  const options: Record<string, unknown> = { kind: kind.kind, apiVersion: apiVersionOf(kind) };
  for (const [field, read] of Object.entries(fieldsOfKind[kind.kind] ?? {})) {
    const value = read(query, field);
    if (value !== undefined) options[field] = value;
  }
  const path = kind.kind.endsWith("ProxyOptions") ? proxiedPath(info) : "";
  if (path !== "") options["path"] = path;
  return { ...options, metadata: {} } as unknown as KubeObject;
}

/** The request as if its query, or the path behind a proxy, had said what admission has made of its options: that is what counts. */
export function withConnectOptions(context: RequestContext, before: KubeObject, after: KubeObject): RequestContext {
  const fields = after as unknown as Readonly<Record<string, unknown>>;
  const kinds = fieldsOfKind[after.kind];
  if (kinds) {
    const query = new URLSearchParams();
    for (const field of Object.keys(kinds))
      for (const value of [fields[field] ?? []].flat()) query.append(field, String(value));
    return { ...context, query };
  }
  const path = String(fields["path"] ?? "");
  if (path === String((before as unknown as typeof fields)["path"] ?? "")) return context;
  const { info } = context;
  const own = info.path.split("/").filter((part) => part !== "");
  const root = `/${own.slice(0, own.length - info.rest.length).join("/")}`;
  const cleaned = posix.join("/", path);
  // As the request's own: upstream's proxies end a path as they were asked.
  const joined = info.path.endsWith("/") && !cleaned.endsWith("/") ? `${cleaned}/` : cleaned;
  const encoded = joined.split("/").map(encodedPart).join("/");
  const rest = joined.split("/").filter((part) => part !== "");
  return { ...context, info: { ...info, path: root + joined, rawPath: root + encoded, rest } };
}

/** Bytes of the request's path that are no text came to admission as U+FFFD, and go on so. */
const encodedPart = (part: string): string => encodeURIComponent(part.toWellFormed());

function proxiedPath({ rest, path }: RequestContext["info"]): string {
  const asked = rest.length > 0 ? `/${rest.join("/")}` : "";
  return path.endsWith("/") && !asked.endsWith("/") ? `${asked}/` : asked;
}
