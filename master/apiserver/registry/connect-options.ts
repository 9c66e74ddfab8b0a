/** The options of a connection, which stand in its query, as an object (PodExecOptions and the like). */
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

function proxiedPath({ rest, path }: RequestContext["info"]): string {
  const asked = rest.length > 0 ? `/${rest.join("/")}` : "";
  return path.endsWith("/") && !asked.endsWith("/") ? `${asked}/` : asked;
}
