/** Requests whose bodies are not sent before there is an answer: what is said of their heads alone. */
import { ask, collection, core, dryRun, json, type More, object, type RawGroup } from "./asking.ts";
import type { Header, RawRequest } from "./raw-request.ts";

/** Longer than what a server passes over for the sake of the request behind it. */
const LONG = "400000";
const unknown: Header = ["Authorization", "Bearer nonsense"];
const merge: Header = ["Content-Type", "application/merge-patch+json"];

const withheld = (what: string, method: string, target: string, { headers = [], ...more }: More = {}): RawRequest =>
  ask(`withholding: ${what}`, method, target, {
    headers: [
      ...(headers.some(([name]) => name === "Content-Type") ? [] : [json]),
      ...headers,
      ["Content-Length", LONG],
    ],
    withheld: true,
    ...more,
  });

const places = [
  ["POST", dryRun],
  ["PUT", object],
  ["PATCH", object],
  ["DELETE", object],
  ["DELETE", collection],
  ["POST", `${core}/pods/nobody/eviction`],
  ["POST", "/nothing"],
  ["POST", "/version"],
  ["POST", `${core}/nothings`],
  ["POST", `${core}/pods/nobody/exec?command=a`],
  ["POST", `${core}/pods/nobody/proxy/`],
] as const;

const refused = (over: RawRequest["over"]): readonly RawRequest[] => [
  ...places.flatMap(([method, target]) => [
    withheld("as nobody", method, target, { over, anonymous: true }),
    withheld("as nobody known", method, target, { over, anonymous: true, headers: [unknown] }),
    withheld("as somebody else", method, target, { over, headers: [["Impersonate-User", "somebody"]] }),
    withheld("as a group", method, target, { over, headers: [["Impersonate-Group", "some"]] }),
    withheld("within no time", method, `${target}${target.includes("?") ? "&" : "?"}timeout=x`, { over }),
    withheld("within no time as nobody known", method, `${target}${target.includes("?") ? "&" : "?"}timeout=x`, {
      over,
      anonymous: true,
      headers: [unknown],
    }),
  ]),
];

const unserved = (over: RawRequest["over"]): readonly RawRequest[] => [
  withheld("to nothing", "POST", "/nothing", { over }),
  withheld("to a document", "POST", "/version", { over }),
  withheld("to a page", "PUT", "/healthz", { over }),
  withheld("to an unknown kind", "POST", `${core}/nothings`, { over }),
  withheld("to no method", "POST", object, { over }),
  withheld("to no method", "PUT", collection, { over }),
  withheld("reading", "GET", object, { over }),
  withheld("reading", "GET", "/version", { over }),
  withheld("accepting nothing", "POST", dryRun, { over, headers: [["Accept", "image/png"]] }),
  withheld("accepting nothing", "DELETE", object, { over, headers: [["Accept", "image/png"]] }),
  withheld("of no known type", "POST", dryRun, { over, headers: [["Content-Type", "text/plain"]] }),
  withheld("of no known type", "PATCH", object, { over, headers: [["Content-Type", "text/plain"]] }),
  withheld("expecting, as nobody", "POST", dryRun, { over, anonymous: true, headers: [["Expect", "100-continue"]] }),
  withheld("expecting, to nothing", "PATCH", `${core}/nothings/x`, {
    over,
    headers: [merge, ["Expect", "100-continue"]],
  }),
];

export const bodyGroups: readonly RawGroup[] = [
  { name: "bodies withheld by HTTP/1.1", requests: [...refused("http/1.1"), ...unserved("http/1.1")] },
  { name: "bodies withheld by HTTP/2", requests: [...refused("h2"), ...unserved("h2")] },
];
