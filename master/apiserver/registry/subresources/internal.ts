/** What the server's own subresources write with. */
import { notFound } from "#shared/api/errors.ts";
import type { RequestContext } from "../../request.ts";
import type { ResourceReader } from "../reader.ts";
import type { ResourceTable } from "../resource-table.ts";
import type { WriteParts, WriteScope } from "../write-scope.ts";

export interface Internal {
  readonly parts: WriteParts;
  readonly table: ResourceTable;
  readonly reader: ResourceReader;
}

/** A write of another resource, or another part of it, on behalf of the user of a request. */
export function internalScope(
  table: ResourceTable,
  ref: { readonly group: string; readonly plural: string },
  namespace: string | undefined,
  context: RequestContext,
  options: { readonly subresource?: string; readonly dryRun?: boolean } = {},
): WriteScope {
  const stored = table.storedOf(ref);
  const resource = stored && table.findInProcess(ref.group, stored.declaration.ref.version, ref.plural);
  if (!resource) throw notFound(ref, "");
  return {
    resource,
    stored,
    namespace,
    subresource: options.subresource,
    user: context.user,
    manager: context.headers["user-agent"]?.split("/")[0] || "kube-apiserver",
    dryRun: options.dryRun ?? context.query.getAll("dryRun").length > 0,
    options: {},
    warnings: context.warnings,
    auditAnnotations: context.auditAnnotations,
    limits: context,
  };
}
