import type { FuzzCase } from "./cases.ts";

interface Request {
  readonly seed: number;
  readonly method: string;
  readonly target: string;
  readonly type: string;
  readonly body: string;
}

const caseOf = ({ seed, method, target, type, body }: Request): FuzzCase => {
  const bytes = Buffer.from(body);
  const lines = [`${method} ${target} HTTP/1.1`, "Host: localhost", `Content-Type: ${type}`];
  const head = Buffer.from(`${[...lines, `Content-Length: ${bytes.length}`].join("\r\n")}\r\n\r\n`);
  return { seed, shape: "regression", over: "tls", as: "admin", ending: "answer", head, rest: bytes };
};

const pods = "/api/v1/namespaces/fuzz-3/pods";
const container = '{"name":"a","image":"a"}';
const json = "application/json";
const ranges = "/api/v1/namespaces/fuzz-3/limitranges";
const maps = "/api/v1/namespaces/fuzz-1/configmaps";

/** Requests that were answered with 500 once, with the seed that found them. */
export const regressions: readonly FuzzCase[] = [
  // A number that a double does not hold could not be compared.
  {
    seed: 1174,
    method: "POST",
    target: maps,
    type: json,
    body: '{"metadata":{"name":"a","generation":-9007199254740993}}',
  },
  // Options that are no object.
  { seed: 12202, method: "DELETE", target: `${maps}/none`, type: json, body: '"text"' },
  { seed: 12202, method: "DELETE", target: `${maps}/none`, type: "application/yaml", body: "a\u0001b" },
  { seed: 12202, method: "DELETE", target: `${maps}/none`, type: json, body: '{"kind":1}' },
  { seed: 12202, method: "DELETE", target: `${maps}/none`, type: json, body: '{"apiVersion":"a/b/c"}' },
  // A LimitRange without limits, and a pod beside it.
  {
    seed: 1004758,
    method: "POST",
    target: ranges,
    type: json,
    body: '{"metadata":{"name":"a"},"spec":{"limits":null}}',
  },
  {
    seed: 1004758,
    method: "POST",
    target: pods,
    type: json,
    body: `{"metadata":{"name":"b"},"spec":{"containers":[${container}]}}`,
  },
].map(caseOf);
