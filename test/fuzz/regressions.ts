import type { FuzzCase } from "./fuzz-case.ts";

interface Request {
  readonly seed: number;
  readonly method: string;
  readonly target: string;
  readonly type: string;
  readonly accept?: string;
  readonly body: string;
}

const caseOf = ({ seed, method, target, type, accept = "*/*", body }: Request): FuzzCase => {
  const bytes = Buffer.from(body);
  const lines = [`${method} ${target} HTTP/1.1`, "Host: localhost", `Accept: ${accept}`, `Content-Type: ${type}`];
  const head = Buffer.from(`${[...lines, `Content-Length: ${bytes.length}`].join("\r\n")}\r\n\r\n`);
  return { seed, shape: "regression", over: "tls", as: "admin", ending: "answer", head, rest: bytes };
};

const pods = "/api/v1/namespaces/fuzz-3/pods";
const container = '{"name":"a","image":"a"}';
const json = "application/json";
const ranges = "/api/v1/namespaces/fuzz-3/limitranges";
const maps = "/api/v1/namespaces/fuzz-1/configmaps";

/** Requests that were answered with 500 once, or not at all, with the seed that found them. */
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
  // What has no form but JSON.
  {
    seed: 1064962,
    method: "PROPFIND",
    target: "/version",
    type: json,
    accept: "application/vnd.kubernetes.protobuf",
    body: "",
  },
  // The list of paths, which is JSON whatever is asked for.
  {
    seed: 1682,
    method: "GET",
    target: "/",
    type: json,
    accept: "application/vnd.kubernetes.protobuf",
    body: "",
  },
  // Faults by the thousand on one line took minutes.
  { seed: 1067434, method: "POST", target: maps, type: "application/yaml", body: `a: ${'"x" '.repeat(100_000)}` },
].map(caseOf);
