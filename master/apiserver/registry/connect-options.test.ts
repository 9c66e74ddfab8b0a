import { expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import { requestInfoOf } from "../http/request-info.ts";
import type { RequestContext } from "../request.ts";
import { withConnectOptions } from "./connect-options.ts";

test("a proxy's path that admission changes may hold bytes that are no text", () => {
  const query = new URLSearchParams();
  const info = requestInfoOf("GET", "/api/v1/nodes/n/proxy/a%FF", query);
  const options = (path: string) => ({ kind: "NodeProxyOptions", path, metadata: {} }) as unknown as KubeObject;
  const context = { info, query } as unknown as RequestContext;
  const { rawPath } = withConnectOptions(context, options("/a\udcff"), options("/b\udcff/c d")).info;
  expect(rawPath).toBe("/api/v1/nodes/n/proxy/b%EF%BF%BD/c%20d");
});
