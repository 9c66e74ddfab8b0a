/** Which objects of a resource a list, a watch or a deletecollection is about. */
import { badRequest } from "#shared/api/errors.ts";
import { unclassifiedError } from "#shared/api/patch/patch-error.ts";
import { type FieldSelector, parseFieldSelector } from "#shared/api/selector/field-selector.ts";
import { type LabelSelector, parseLabelSelector } from "#shared/api/selector/label-selector.ts";
import { isDns1123Label } from "../resources/validation/names.ts";
import type { Entry } from "../watch-cache/entry.ts";
import type { ServedResource } from "./served-resource.ts";

export class Selection {
  /** Neither labels nor fields narrow it. */
  readonly isWhole: boolean;
  readonly #read: (entry: Entry) => (field: string) => string;

  readonly namespace: string | undefined;

  constructor(
    namespace: string | undefined,
    readonly labels: LabelSelector,
    readonly fields: FieldSelector,
    resource: ServedResource,
  ) {
    // Who selects a namespace among all asks for that one's objects, so a page ends where they end.
    this.namespace = namespace || (resource.declaration.ref.namespaced ? soleNamespace(fields) : undefined);
    this.isWhole = labels.isEmpty && fields.isEmpty;
    this.#read = fieldReader(resource);
  }

  matches(entry: Entry): boolean {
    if (this.namespace && entry.namespace !== this.namespace) return false;
    if (this.isWhole) return true;
    return this.labels.matches(entry.indexed.labels) && this.fields.matches(this.#read(entry));
  }

  /** The one name that the fields allow, where they do. */
  get name(): string | undefined {
    return this.fields.requirements.find(({ field, operator }) => field === "metadata.name" && operator === "=")?.value;
  }
}

function soleNamespace({ requirements }: FieldSelector): string | undefined {
  const named = requirements.find(({ field, operator }) => field === "metadata.namespace" && operator === "=")?.value;
  return named !== undefined && isDns1123Label(named).length === 0 ? named : undefined;
}

/** Throws upstream's 500 for a namespace that is no name, BadRequest for selectors that do not parse or name a field that this
 *  resource does not select by. */
export function parseSelection(
  resource: ServedResource,
  namespace: string | undefined,
  selectors: { readonly labelSelector?: string | null; readonly fieldSelector?: string | null },
): Selection {
  // Keys of the store are paths to upstream, and these would lead out of the resource's own.
  if (namespace === "." || namespace === "..")
    throw unclassifiedError(`invalid key: "/${resource.declaration.ref.plural}/${namespace}"`);
  const labels = parseLabelSelector(selectors.labelSelector ?? "");
  const fields = parseFieldSelector(selectors.fieldSelector ?? "");
  const { declaration } = resource;
  const { selectableFields, refusesNamespaceField = false } = declaration;
  for (const { field } of fields.requirements) {
    if (field === "metadata.name" || (field === "metadata.namespace" && !refusesNamespaceField)) continue;
    if (selectableFields && Object.hasOwn(selectableFields, field)) continue;
    throw badRequest(
      selectableFields
        ? (declaration.unknownField?.(field, resource.version) ?? `field label not supported: ${field}`)
        : `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`,
    );
  }
  return new Selection(namespace, labels, fields, resource);
}

function fieldReader(resource: ServedResource): (entry: Entry) => (field: string) => string {
  const { selectableFields } = resource.declaration;
  // Fields of the stored form stand beside the text; another group's view of the same objects has its own, as has each
  // version of a custom resource.
  const own =
    resource.declaration.storedAs || resource.declaration.converter
      ? (entry: Entry, field: string) => selectableFields?.[field]?.(resource.serve(entry).view()) ?? ""
      : (entry: Entry, field: string) => entry.indexed.fields[field] ?? "";
  return (entry) => (field) => {
    if (field === "metadata.name") return entry.name;
    if (field === "metadata.namespace") return entry.namespace;
    return own(entry, field);
  };
}
