import type { Field } from "../validation/field.ts";
import { isDns1123Label, isDns1123Subdomain } from "../validation/names.ts";

const maxSegment_bytes = 253;
const maxName_bytes = 2 * maxSegment_bytes + 65;

/** A signer's name: `domain/path`, where the domain has a dot (ValidateSignerName of pkg/apis/core/validation). */
export function validateSignerName(name: string | undefined, field: Field): void {
  if (!name) {
    field.required();
    return;
  }
  const segments = name.split("/");
  const [domain = "", path = ""] = segments;
  if (segments.length !== 2) {
    field.invalid(name, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
    return;
  }
  if (domain.length > maxSegment_bytes) field.tooLong(maxSegment_bytes);
  validateFirstBroken(domain, isDns1123Label, field);
  if (!domain.includes(".")) {
    field.invalid(domain, "should be a domain with at least two segments separated by dots");
  }
  validateFirstBroken(path, isDns1123Subdomain, field);
  if (name.length > maxName_bytes) field.tooLong(maxName_bytes);
}

function validateFirstBroken(segment: string, check: (label: string) => string[], field: Field): void {
  const label = segment.split(".").find((each) => check(each).length > 0);
  if (label === undefined) return;
  for (const message of check(label)) field.invalid(segment, `validating label ${JSON.stringify(label)}: ${message}`);
}
