import type { FieldError } from "#shared/api/errors.ts";
import type {
  DeviceClaim,
  DeviceClass,
  DeviceConstraint,
  DeviceRequest,
  DeviceSelector,
  ExactDeviceRequest,
  OpaqueDeviceConfiguration,
  ResourceClaim,
  ResourceClaimTemplate,
} from "#shared/api/types/resource-v1.generated.ts";
import { validateCSIDriverName } from "../core/volume-sources.ts";
import { tellFault } from "../validation/expression-fault.ts";
import { collect, each, type Field, immutable } from "../validation/field.ts";
import { isCIdentifier, isDns1123Label, isDns1123Subdomain } from "../validation/names.ts";
import { validateTemplateMetadata } from "../validation/object-meta.ts";
import { selectorProblem } from "./device-selector.ts";

const maxItems = 32;
const maxAlternatives = 8;
const maxExpression_bytes = 10 * 1024;
const maxParameters_bytes = 10 * 1024;
const maxId = 32;

export const validateClaim = ({ spec }: ResourceClaim): FieldError[] =>
  collect((root) => validateDevices(spec.devices ?? {}, root.at("spec", "devices")));

/** Claims are made of it: of what they are called by, only labels and annotations come from the template. */
export const validateTemplate = ({ spec }: ResourceClaimTemplate): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    validateTemplateMetadata(spec.metadata ?? {}, field.at("metadata"));
    validateDevices(spec.spec.devices ?? {}, field.at("spec", "devices"));
  });

export const validateSameSpec = (object: { spec: unknown }, old: { readonly spec: unknown }): FieldError[] =>
  collect((root) => immutable(object.spec, old.spec, root.at("spec")));

export const validateClass = ({ spec }: DeviceClass): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    validateSelectors(spec.selectors, field.at("selectors"));
    limited(spec.config, maxItems, field.at("config"), ({ opaque }, at) => validateOpaque(opaque, at.at("opaque")));
  });

/** A list that is not looked into where it is too long. */
export function limited<T>(
  items: readonly T[] | undefined,
  max: number,
  field: Field,
  validate: (item: T, field: Field) => void,
): void {
  if (items && items.length > max) field.tooMany(items.length, max);
  else each(items, field, validate);
}

/** The same for a list whose items differ in a name. */
export function limitedSet<T>(
  items: readonly T[] | undefined,
  max: number,
  field: Field,
  keyOf: (item: T) => string,
  validate: (item: T, field: Field) => void,
): void {
  const seen = new Set<string>();
  limited(items, max, field, (item, at) => {
    validate(item, at);
    const key = keyOf(item);
    if (seen.has(key)) at.duplicate(key);
    seen.add(key);
  });
}

function validateDevices({ requests, constraints, config }: DeviceClaim, field: Field): void {
  const names = new Set((requests ?? []).flatMap(namesOf));
  limitedSet(requests, maxItems, field.at("requests"), ({ name }) => name, validateRequest);
  limited(constraints, maxItems, field.at("constraints"), (constraint, at) =>
    validateConstraint(constraint, names, at),
  );
  limited(config, maxItems, field.at("config"), (entry, at) => {
    validateReferences(entry.requests, names, at.at("requests"));
    validateOpaque(entry.opaque, at.at("opaque"));
  });
}

/** What constraints and settings may call a request: its name, or one of its alternatives. */
export const namesOf = ({ name, firstAvailable = [] }: DeviceRequest): string[] => [
  name,
  ...firstAvailable.map((alternative) => `${name}/${alternative.name}`),
];

function validateRequest({ name, exactly, firstAvailable }: DeviceRequest, field: Field): void {
  field.at("name").invalidEach(name, isDns1123Label(name));
  const hasAlternatives = (firstAvailable?.length ?? 0) > 0;
  const which = "exactly one of `exactly` or `firstAvailable` is required";
  if (exactly && hasAlternatives) field.invalid(null, `${which}, but multiple fields are set`);
  else if (exactly) validateDemand(exactly, field.at("exactly"));
  else if (hasAlternatives)
    limitedSet(
      firstAvailable,
      maxAlternatives,
      field.at("firstAvailable"),
      (alternative) => alternative.name,
      (alternative, at) => {
        at.at("name").invalidEach(alternative.name, isDns1123Label(alternative.name));
        validateDemand(alternative, at);
      },
    );
  else field.required(which);
}

type Demand = Pick<ExactDeviceRequest, "deviceClassName" | "selectors" | "allocationMode" | "count">;

function validateDemand({ deviceClassName, selectors, allocationMode = "", count = 0 }: Demand, field: Field): void {
  if (deviceClassName) field.at("deviceClassName").invalidEach(deviceClassName, isDns1123Subdomain(deviceClassName));
  else field.at("deviceClassName").required();
  validateSelectors(selectors, field.at("selectors"));
  if (allocationMode === "All") {
    if (count !== 0) field.at("count").invalid(count, "must not be specified when allocationMode is 'All'");
  } else if (allocationMode === "ExactCount") {
    if (count <= 0) field.at("count").invalid(count, "must be greater than zero");
  } else field.at("allocationMode").notSupported(allocationMode, ["All", "ExactCount"]);
}

function validateSelectors(selectors: readonly DeviceSelector[] | undefined, field: Field): void {
  limited(selectors, maxItems, field, ({ cel }, at) => {
    if (!cel) at.at("cel").required();
    else if (Buffer.byteLength(cel.expression) > maxExpression_bytes)
      at.at("cel", "expression").tooLong(maxExpression_bytes);
    else {
      const fault = selectorProblem(cel.expression);
      if (fault) tellFault(cel.expression, fault, at.at("cel", "expression"));
    }
  });
}

function validateConstraint(constraint: DeviceConstraint, names: ReadonlySet<string>, field: Field): void {
  validateReferences(constraint.requests, names, field.at("requests"));
  const { matchAttribute } = constraint;
  if (matchAttribute === undefined) field.at("matchAttribute").required();
  else validateAttribute(matchAttribute, field.at("matchAttribute"));
}

export function validateReferences(
  references: readonly string[] | undefined,
  names: ReadonlySet<string>,
  field: Field,
): void {
  limitedSet(
    references,
    maxItems,
    field,
    (name) => name,
    (name, at) => validateReference(name, names, at),
  );
}

/** The name of one request among those of the claim. */
export function validateReference(name: string, names: ReadonlySet<string>, field: Field): void {
  const segments = name.split("/");
  if (segments.length <= 2) for (const segment of segments) field.invalidEach(segment, isDns1123Label(segment));
  if (names.has(name)) return;
  field.invalid(
    name,
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
  );
}

export function validateOpaque(opaque: OpaqueDeviceConfiguration | undefined, field: Field): void {
  if (!opaque) {
    field.required();
    return;
  }
  validateCSIDriverName(opaque.driver, field.at("driver"));
  validateJsonObject(opaque.parameters, maxParameters_bytes, field.at("parameters"));
}

/** What only a driver understands. */
export function validateJsonObject(value: unknown, max_bytes: number, field: Field): void {
  if (value === undefined || value === null) field.required();
  else if (Buffer.byteLength(JSON.stringify(value)) > max_bytes) field.tooLong(max_bytes);
  else if (typeof value !== "object" || Array.isArray(value)) {
    field.invalid("<value omitted>", "must be a valid JSON object");
  }
}

function validateAttribute(name: string, field: Field): void {
  validateAttributeName(name, field);
  if (!name.includes("/"))
    field.invalid(name, "a fully qualified name must be a domain and a name separated by a slash");
}

/** `name` or `domain/name`. Of more parts than two nothing is said, as upstream. */
export function validateAttributeName(name: string, field: Field): void {
  const parts = name.split("/");
  if (parts.length > 2) return;
  const [domain, id] = parts.length === 1 ? [undefined, name] : parts;
  if (domain === "") field.invalid("", "the domain must not be empty");
  else if (domain !== undefined) validateCSIDriverName(domain, field);
  if (id === "" && domain !== undefined) field.invalid("", "the name must not be empty");
  else validateId(id ?? "", field);
}

function validateId(id: string, field: Field): void {
  if (id.length > maxId) field.tooLong(maxId);
  field.invalidEach(id, isCIdentifier(id));
}
