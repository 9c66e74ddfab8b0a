import type { Field } from "./field.ts";
import { isDns1123Subdomain, regexError } from "./names.ts";

const pathPattern = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const isPath = new RegExp(`^${pathPattern}$`);

/** `acme.io/foo`: who stands behind something that others may provide. */
export function validateDomainPrefixedPath(text: string, field: Field): void {
  if (text === "") {
    field.required();
    return;
  }
  const slash = text.indexOf("/");
  const [host, path] = slash < 0 ? ["", ""] : [text.slice(0, slash), text.slice(slash + 1)];
  if (host === "" || path === "") {
    field.invalid(text, 'must be a domain-prefixed path (such as "acme.io/foo")');
    return;
  }
  field.invalidEach(host, isDns1123Subdomain(host));
  if (!isPath.test(path)) field.invalid(path, regexError("Invalid path", pathPattern));
}
