/** Removal of what an applier applied last time and no longer does (structured-merge-diff's merge.Updater.prune). */
import type { JsonObject } from "../patch/json-value.ts";
import type { ManagedFieldsEntry } from "../types/meta-v1.generated.ts";
import { fieldsOfEntry, type Managers } from "./entries.ts";
import { removeItems, toFieldSet } from "./extract.ts";
import { FieldSet } from "./field-set.ts";
import { ConversionFailed, type OtherVersion } from "./touched-fields.ts";
import { type Atom, rootAtom } from "./typed-schema.ts";
import type { ManagedResource } from "./update.ts";

/** An API version; `other` is undefined for the one that is written. */
interface Form {
  readonly other: OtherVersion | undefined;
  readonly atom: Atom;
}

/** `merged` without what `previous`, the applier's entry so far, has and nobody in `managers` owns. */
export function prune(
  merged: JsonObject,
  managers: Managers,
  previous: ManagedFieldsEntry | undefined,
  resource: ManagedResource,
): JsonObject {
  const lastSet = previous ? FieldSet.fromFieldsV1(fieldsOfEntry(previous)) : new FieldSet();
  if (lastSet.isEmpty) return merged;
  const written: Form = { other: undefined, atom: rootAtom(resource.schema) };
  const forms = new Map<string, Form>();
  const formOf = (apiVersion = ""): Form => {
    const known = forms.get(apiVersion);
    if (known) return known;
    const other = resource.otherVersion?.(apiVersion);
    const form = other ? { other, atom: rootAtom(other.schema) } : written;
    forms.set(apiVersion, form);
    return form;
  };
  const form = formOf(previous?.apiVersion);
  const prefix = "failed to prune fields: failed to convert merged object to last applied version";
  const before = ConversionFailed.naming(prefix, () => moved(merged, written, form));
  const last = lastSet.withNamedFields(form.atom);
  // What somebody owns comes back: first in the version of what was removed, as conversion may need such a field.
  const owned = new Map<Form, FieldSet>([[form, new FieldSet()]]);
  for (const entry of managers.values()) {
    const of = formOf(entry.apiVersion);
    owned.set(of, (owned.get(of) ?? new FieldSet()).union(FieldSet.fromFieldsV1(fieldsOfEntry(entry))));
  }
  let whole = before;
  let pruned = removeItems(before, last, form.atom) as JsonObject;
  let at = form;
  for (const [of, managed] of owned) {
    whole = moved(whole, at, of);
    pruned = moved(pruned, at, of);
    at = of;
    const kept = namedFields(pruned, of).union(managed.withNamedFields(of.atom));
    pruned = removeItems(whole, namedFields(whole, of).difference(kept), of.atom) as JsonObject;
  }
  // Then what nobody had applied.
  const gone = namedFields(before, form).difference(namedFields(moved(pruned, at, form), form));
  return moved(removeItems(before, gone.intersection(last), form.atom) as JsonObject, form, written);
}

const namedFields = (object: JsonObject, { atom }: Form): FieldSet => toFieldSet(object, atom).withNamedFields(atom);

function moved(object: JsonObject, from: Form, to: Form): JsonObject {
  if (from === to) return object;
  const written = from.other ? from.other.revert(object) : object;
  return to.other ? to.other.convert(written) : written;
}
