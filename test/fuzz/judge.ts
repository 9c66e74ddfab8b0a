import type { Outcome } from "./conversation.ts";
import type { FuzzCase } from "./fuzz-case.ts";

/** So much of what came back is kept: a failure is judged by what it says, be it behind other answers. */
export const JUDGED_BYTES = 64 * 1024;

/** Answers of 500 and above that upstream gives there too, by what the answer says. */
const rightful: readonly { readonly says: RegExp; readonly why: string }[] = [
  {
    says: /resourceVersion should not be set on objects to be created/,
    why: "upstream's storage says so, as no status of its own",
  },
  { says: /strconv.ParseUint:\s+parsing/, why: "the resourceVersion of a read that is no number" },
  {
    says: /unable to find api field in struct|unknown patch type: |expected a \[\]interface \{\}, but received a|list element types are not identical|does not contain declared merge key|value for key \d+ is not a map/,
    why: "directives of a strategic merge patch",
  },
  { says: /failed to create typed patch object/, why: "an applied object that does not fit the schema" },
  { says: /couldn't get version\/kind; (json|yaml) parse error/, why: "DeleteOptions that are no object" },
  {
    says: /Too large resource version/,
    why: "504: a revision that has not come within the time that a read waits for it",
  },
  { says: /Unsupported transfer encoding/, why: "501: a coding of the body that is none of HTTP/1.1's" },
  { says: /unsupported protocol version/, why: "505: a version of HTTP that is not spoken here" },
  { says: /invalid key: \\"\/[^/"]*\/\.\.?\\"/, why: "a list of a namespace that is no name" },
  { says: /no endpoints available for service/, why: "503: nothing serves the Service that is proxied to" },
];

/** An answer to HEAD says nothing: here 503, since nothing serves the Service that is proxied to, */
const asksProxyForHead = /^HEAD \S*\/services\/[^/\s]+\/proxy/;
/** and 500 for a list of a namespace that is no name. */
const asksNoNamespaceForHead = /^HEAD \S*\/namespaces\/(\.|%2e){1,2}\//i;
/** So too a resourceVersion that is no number of 64 bits, where HEAD reads one object: of a custom kind. */
const asksNoVersionForHead = /^HEAD \S*[?&]resourceVersion=(?!\d{1,19}(?:[&\s]))/;

/** A request may give itself less time than a read waits for a revision that does not come: 504. */
const givesTime = /[?&]timeout=/;

/** What an API server must not do to this request; undefined where all is well. */
export function faultOf({ shape, ending, over, head }: FuzzCase, { codes, text, end }: Outcome): string | undefined {
  if (end === "waited") return "no answer";
  const odd = codes.find((code) => Number.isNaN(code));
  // Which of several answers is one to HEAD, and so without a body, is not followed here.
  if (odd !== undefined && over !== "tcp" && shape !== "pipeline") return "an answer that is no HTTP";
  if (ending === "answer" && codes.length === 0) return "the connection was closed without an answer";
  if (shape === "framing" && codes.length > 1) return "the body was taken for a request";
  const failed = codes.find((code) => code >= 500);
  if (failed === undefined || rightful.some(({ says }) => says.test(text))) return undefined;
  const asked = head.toString("latin1");
  if (failed === 503 && asksProxyForHead.test(asked)) return undefined;
  if (failed === 500 && (asksNoNamespaceForHead.test(asked) || asksNoVersionForHead.test(asked))) return undefined;
  if (failed === 504 && givesTime.test(asked)) return undefined;
  return `answered ${failed}`;
}
