import type { Field } from "../validation/field.ts";
import { isDns1123Subdomain, isPathSegment } from "../validation/names.ts";

/** An object of the same namespace (or of none), by group, kind and name. */
export function validateTypedReference(
  { apiGroup, kind, name }: { readonly apiGroup?: string | undefined; readonly kind: string; readonly name: string },
  field: Field,
): void {
  if (apiGroup !== undefined) field.at("apiGroup").invalidEach(apiGroup, isDns1123Subdomain(apiGroup));
  validateSegments({ kind, name }, field);
}

/** Texts that must be there and fit into a URL's path. */
export function validateSegments(texts: Readonly<Record<string, string>>, field: Field): void {
  for (const [key, text] of Object.entries(texts)) {
    if (!text) field.at(key).required();
    else field.at(key).invalidEach(text, isPathSegment(text));
  }
}
