import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

describe("kubectl", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ store: "sqlite" });
  });
  afterAll(() => server.stop());

  const ok = async (args: readonly string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await server.kubectl(args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}${stdout}`);
    return stdout;
  };

  test("version", async () => {
    expect(await ok(["version"])).toContain("Server Version: v1.35.4+bramble");
  });

  test("creates, lists and describes", async () => {
    expect(await ok(["create", "configmap", "one", "--from-literal=a=1"])).toBe("configmap/one created\n");
    expect(await ok(["get", "configmap", "one", "-o", "jsonpath={.data.a}"])).toBe("1");
    expect(await ok(["get", "cm"])).toMatch(/^NAME +DATA +AGE\none +1 +\S+\n$/);
    expect(await ok(["describe", "configmap", "one"])).toContain("a:\n----\n1");
    const again = await server.kubectl(["create", "configmap", "one"]);
    expect(again.stderr).toContain('Error from server (AlreadyExists): configmaps "one" already exists');
  });
});
