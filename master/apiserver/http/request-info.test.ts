import { expect, test } from "bun:test";
import { requestInfoOf } from "./request-info.ts";

const info = (method: string, url: string) => {
  const { pathname, searchParams } = new URL(url, "https://x");
  const { verb, group, version, namespace, resource, subresource, name, rest, isResourceRequest } = requestInfoOf(
    method,
    pathname,
    searchParams,
  );
  if (!isResourceRequest) return [verb];
  return [verb, `${group}/${version}`, namespace ?? "-", resource, name ?? "-", subresource ?? "-", ...rest];
};

test.each([
  ["GET", "/api/v1/namespaces/a/pods/p", ["get", "/v1", "a", "pods", "p", "-"]],
  ["GET", "/api/v1/namespaces/a/pods", ["list", "/v1", "a", "pods", "-", "-"]],
  ["GET", "/api/v1/pods?watch=true", ["watch", "/v1", "-", "pods", "-", "-"]],
  ["GET", "/api/v1/watch/namespaces/a/pods/p", ["watch", "/v1", "a", "pods", "p", "-"]],
  ["GET", "/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Dp", ["list", "/v1", "a", "pods", "p", "-"]],
  ["GET", "/api/v1/secrets?fieldSelector=type!%3Dx%5C%2Cmetadata.name%3Dp", ["list", "/v1", "-", "secrets", "-", "-"]],
  [
    "GET",
    "/api/v1/secrets?fieldSelector=type!%3Dx%5C%2Cmetadata.name%5C%3Dp",
    ["list", "/v1", "-", "secrets", "-", "-"],
  ],
  ["GET", "/api/v1/secrets?fieldSelector=metadata.name!%3Dp", ["list", "/v1", "-", "secrets", "-", "-"]],
  ["GET", "/api/v1/secrets?fieldSelector=metadata.name%3D%3Dp,type%3Dx", ["list", "/v1", "-", "secrets", "p", "-"]],
  ["GET", "/api/v1/secrets?fieldSelector=metadata.name%3Da%2Fb", ["list", "/v1", "-", "secrets", "-", "-"]],
  ["POST", "/apis/apps/v1/namespaces/a/deployments", ["create", "apps/v1", "a", "deployments", "-", "-"]],
  ["PUT", "/apis/apps/v1/namespaces/a/deployments/d/scale", ["update", "apps/v1", "a", "deployments", "d", "scale"]],
  ["DELETE", "/api/v1/namespaces/a/pods", ["deletecollection", "/v1", "a", "pods", "-", "-"]],
  ["DELETE", "/api/v1/namespaces/a", ["delete", "/v1", "a", "namespaces", "a", "-"]],
  ["PUT", "/api/v1/namespaces/a/finalize", ["update", "/v1", "a", "namespaces", "a", "finalize"]],
  ["GET", "/api/v1/namespaces", ["list", "/v1", "-", "namespaces", "-", "-"]],
  ["GET", "/api/v1/nodes/n/proxy/stats/summary", ["get", "/v1", "-", "nodes", "n", "proxy", "stats", "summary"]],
  ["GET", "/api/v1/namespaces/a/configmaps/b%2Fstatus", ["get", "/v1", "a", "configmaps", "b", "status"]],
  ["GET", "/api/v1/namespaces//pods/p", ["get", "/v1", "-", "pods", "p", "-"]],
  ["GET", "/api/v1/namespaces//status", ["list", "/v1", "-", "namespaces", "-", "status"]],
  ["GET", "/api/v1//pods", ["get", "/v1", "-", "", "pods", "-"]],
  ["GET", "/api/v1/pods//", ["list", "/v1", "-", "pods", "-", "-"]],
  ["POST", "/api/v1/proxy/nodes/n/stats", ["proxy", "/v1", "-", "nodes", "n", "-"]],
  ["GET", "/apis/apps/v1", ["get"]],
  ["GET", "/healthz", ["get"]],
  ["POST", "/api", ["post"]],
])("%s %s", (method, url, expected) => {
  expect(info(method, url)).toEqual(expected);
});

test("a path whose escapes are none is refused as text", () => {
  expect(() => info("GET", "/api/v1/namespaces/a/configmaps/a%zz")).toThrow("400 Bad Request");
});

test("what is UTF-8 beside bytes that are none is text", () => {
  expect(info("GET", "/api/v1/namespaces/%C3%A4%FF%e2%82%ac%ED%A0%80%F0%9F%98%80/pods")).toEqual([
    "list",
    "/v1",
    "ä\udcff€\udced\udca0\udc80😀",
    "pods",
    "-",
    "-",
  ]);
});
