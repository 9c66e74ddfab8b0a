/** Which deprecated versions somebody asks for, so that it is known before they are gone; under upstream's names. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable } from "#shared/metrics/tables.ts";
import type { RequestContext } from "../request.ts";
import type { ServedResource } from "./served-resource.ts";

const asked = new CounterTable({
  name: "apiserver_requested_deprecated_apis",
  help: "1 for each deprecated version of a resource that was asked for.",
  labels: ["group", "version", "resource", "subresource", "removed_release"],
});

/** Notes it for operators and for the audit log. */
export function noteDeprecatedUse(
  { info, auditAnnotations }: RequestContext,
  { removedRelease }: ServedResource,
): void {
  const { group, version, resource, subresource = "" } = info;
  asked.of([group, version, resource, subresource, removedRelease ?? ""]).count = 1;
  auditAnnotations["k8s.io/deprecated"] = "true";
  if (removedRelease !== undefined) auditAnnotations["k8s.io/removed-release"] = removedRelease;
}

export const deprecatedUses = (): Family => ({ ...asked.family(), type: "gauge" });
