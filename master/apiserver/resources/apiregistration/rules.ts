import type { FieldError } from "#shared/api/errors.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { APIService, APIServiceSpec, ServiceReference } from "#shared/api/types/apiregistration-v1.generated.ts";
import { collect, each, type Field } from "../validation/field.ts";
import { isDns1035Label, isDns1123Subdomain, isPathSegment, isPortNumber } from "../validation/names.ts";
import { conditionStatuses } from "../validation/object-meta.ts";

const maxGroupPriority = 20_000;
const maxVersionPriority = 1000;

export function applyServiceDefaults({ spec }: APIService): void {
  if (spec.service) spec.service.port ??= 443;
}

/** What the API server serves itself is there at once. */
export function markLocal(draft: APIService): void {
  if (draft.spec.service) return;
  const condition = {
    type: "Available",
    status: "True",
    lastTransitionTime: rfc3339(Date.now()),
    reason: "Local",
    message: "Local APIServices are always available",
  };
  draft.status = { ...draft.status, conditions: [condition] };
}

/** ValidateAPIService of kube-aggregator. */
export const validateAPIService = ({ metadata, spec }: APIService): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    const { group = "", version = "" } = spec;
    const required = `${version}.${group}`;
    const problem = `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(required)}`;
    for (const key of ["name", "generateName"] as const) {
      const text = metadata[key] ?? "";
      if (text !== "" && text !== required && isPathSegment(text).length === 0)
        root.at("metadata", key).invalid(text, problem);
    }
    if (group !== "") field.at("group").invalidEach(group, isDns1123Subdomain(group));
    else if (version !== "v1")
      field.at("group").required("only v1 may have an empty group and it better be legacy kube");
    field.at("version").invalidEach(version, isDns1035Label(version));
    const { groupPriorityMinimum: minimum, versionPriority: priority } = spec;
    if (minimum <= 0 || minimum > maxGroupPriority)
      field.at("groupPriorityMinimum").invalid(minimum, "must be positive and less than 20000");
    if (priority <= 0 || priority > maxVersionPriority)
      field.at("versionPriority").invalid(priority, "must be positive and less than 1000");
    if (spec.service) validateRemote(spec, spec.service, field);
    else validateLocal(spec, field);
  });

function validateLocal({ caBundle = "", insecureSkipTLSVerify = false }: APIServiceSpec, field: Field): void {
  const size = `${Buffer.from(caBundle, "base64").length} bytes`;
  if (caBundle !== "") field.at("caBundle").invalid(size, "local APIServices may not have a caBundle");
  if (insecureSkipTLSVerify)
    field.at("insecureSkipTLSVerify").invalid(true, "local APIServices may not have insecureSkipTLSVerify");
}

function validateRemote(spec: APIServiceSpec, service: ServiceReference, field: Field): void {
  const at = field.at("service");
  if (!service.namespace) at.at("namespace").required();
  if (!service.name) at.at("name").required();
  const { port = 0 } = service;
  const faults = isPortNumber(port);
  if (faults.length > 0) at.at("port").invalid(port, `port is not valid: ${faults.join(", ")}`);
  if (spec.insecureSkipTLSVerify && spec.caBundle)
    field.at("insecureSkipTLSVerify").invalid(true, "may not be true if caBundle is present");
}

export const validateAPIServiceStatus = ({ status }: APIService): FieldError[] =>
  collect((root) =>
    each(status?.conditions, root.at("status", "conditions"), (condition, at) => {
      const known = ["True", "False", "Unknown"];
      if (!conditionStatuses.some((each) => each === condition.status))
        at.at("status").notSupported(condition.status ?? "", known);
    }),
  );
