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
  const refused = async (args: readonly string[], input?: string): Promise<string> => {
    const { code, stderr } = await server.kubectl(args, input);
    expect(code).not.toBe(0);
    return stderr;
  };
  const configMap = (name: string, data: Record<string, string>): string =>
    JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data });

  test("version and api-resources", async () => {
    expect(await ok(["version"])).toContain("Server Version: v1.35.4+bramble");
    const resources = await ok(["api-resources"]);
    expect(resources).toMatch(/^deployments +deploy +apps\/v1 +true +Deployment$/m);
    expect(resources).toMatch(/^pods +po +v1 +true +Pod$/m);
    expect(await ok(["api-versions"])).toContain("networking.k8s.io/v1\n");
    expect(await ok(["get", "--raw", "/readyz?verbose"])).toContain("readyz check passed");
    expect(await ok(["get", "--raw", "/metrics"])).toContain("apiserver_request_total");
  });

  test("creates, lists and describes", async () => {
    expect(await ok(["create", "configmap", "one", "--from-literal=a=1"])).toBe("configmap/one created\n");
    expect(await ok(["get", "configmap", "one", "-o", "jsonpath={.data.a}"])).toBe("1");
    expect(await ok(["get", "cm", "one"])).toMatch(/^NAME +DATA +AGE\none +1 +\S+\n$/);
    expect(await ok(["describe", "configmap", "one"])).toContain("a:\n----\n1");
    expect(await refused(["create", "-f", "-"], configMap("one", {}))).toContain(
      'Error from server (AlreadyExists): error when creating "STDIN": configmaps "one" already exists',
    );
    expect(await refused(["get", "cm", "none"])).toBe('Error from server (NotFound): configmaps "none" not found\n');
    expect(await ok(["get", "ns", "default", "-o", "wide"])).toMatch(/^NAME +STATUS +AGE\ndefault +Active +\S+\n$/);
  });

  test("client-side apply", async () => {
    expect(await ok(["apply", "-f", "-"], configMap("two", { a: "1", b: "2" }))).toBe("configmap/two created\n");
    expect(await ok(["apply", "-f", "-"], configMap("two", { a: "1", b: "2" }))).toBe("configmap/two unchanged\n");
    expect(await ok(["apply", "-f", "-"], configMap("two", { a: "3" }))).toBe("configmap/two configured\n");
    expect(await ok(["get", "cm", "two", "-o", "jsonpath={.data}"])).toBe('{"a":"3"}');
  });

  test("server-side apply, conflicts and force", async () => {
    const apply = (manager: string, data: Record<string, string>, ...more: string[]) =>
      server.kubectl(
        ["apply", "--server-side", `--field-manager=${manager}`, "-f", "-", ...more],
        configMap("three", data),
      );
    expect((await apply("anna", { a: "1", b: "2" })).stdout).toBe("configmap/three serverside-applied\n");
    const conflict = await apply("ben", { a: "9" });
    expect(conflict.stderr).toContain('Apply failed with 1 conflict: conflict with "anna": .data.a');
    expect((await apply("ben", { a: "9" }, "--force-conflicts")).code).toBe(0);
    expect((await apply("anna", { b: "2" })).code).toBe(0);
    expect(await ok(["get", "cm", "three", "-o", "jsonpath={.data}"])).toBe('{"a":"9","b":"2"}');
    const dry = await apply("anna", { b: "5" }, "--dry-run=server", "-o", "jsonpath={.data.b}");
    expect(dry.stdout).toBe("5");
    expect(await ok(["get", "cm", "three", "-o", "jsonpath={.data.b}"])).toBe("2");
  });

  test("the patch types", async () => {
    await ok(["apply", "-f", "-"], deployment);
    await ok(["patch", "deploy", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":3}]']);
    await ok(["patch", "deploy", "web", "--type=merge", "-p", '{"metadata":{"labels":{"tier":"front"}}}']);
    const strategic = '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox"}]}}}}';
    await ok(["patch", "deploy", "web", "-p", strategic]);
    const path =
      "{.spec.replicas} {.metadata.labels.tier} {.spec.template.spec.containers[*].name} {.metadata.generation}";
    expect(await ok(["get", "deploy", "web", "-o", `jsonpath=${path}`])).toBe("3 front side web 3");
    expect(await ok(["scale", "deploy", "web", "--replicas=5"])).toBe("deployment.apps/web scaled\n");
    expect(await ok(["get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"])).toBe("5");
    expect(await ok(["get", "deploy", "web", "-o", "wide"])).toMatch(/CONTAINERS +IMAGES +SELECTOR/);
    const status = '{"status":{"replicas":2,"readyReplicas":2,"availableReplicas":2}}';
    await ok(["patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", status]);
    expect(await ok(["get", "deploy", "web"])).toMatch(/^web +2\/5 +0 +2 +\S+$/m);
    await ok(["set", "image", "deploy/web", "web=nginx:2"]);
    await ok(["label", "deploy", "web", "tier-"]);
    await ok(["annotate", "deploy", "web", "note=x"]);
  });

  test("validation answers with causes", async () => {
    const bad = JSON.stringify({ ...JSON.parse(deployment), metadata: { name: "Bad_Name" } });
    const text = await refused(["create", "-f", "-"], bad);
    expect(text).toContain('The Deployment "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name"');
    const unknown = JSON.stringify({ ...JSON.parse(configMap("bad", {})), spec: { x: 1 } });
    expect(await refused(["create", "-f", "-"], unknown)).toContain('unknown field "spec"');
  });

  test("waits, watches and deletes", async () => {
    await ok(["create", "-f", "-"], configMap("four", { a: "1" }));
    const waiting = server.kubectl(["wait", "cm/four", "--for=jsonpath={.data.a}=2", "--timeout=240s"]);
    const watching = server.kubectl(["get", "cm", "-w", "--output-watch-events", "-o", "name", "--request-timeout=5s"]);
    await ok(["patch", "cm", "four", "--type=merge", "-p", '{"data":{"a":"2"}}']);
    expect((await waiting).stdout).toBe("configmap/four condition met\n");
    // Before it goes: whoever begins late sees it too.
    expect((await watching).stdout).toContain("configmap/four");
    const gone = server.kubectl(["wait", "cm/four", "--for=delete", "--timeout=240s"]);
    expect(await ok(["delete", "cm", "four"])).toBe('configmap "four" deleted from default namespace\n');
    expect((await gone).code).toBe(0);
    expect(await ok(["delete", "cm", "--all"])).toContain('configmap "two" deleted');
    expect(await ok(["get", "cm"])).toBe("");
  });

  test("chunked lists, selectors and sorting", async () => {
    const items = Array.from({ length: 30 }, (_, n) => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: `part-${String(n).padStart(2, "0")}`, labels: { even: String(n % 2 === 0) } },
    }));
    await ok(["create", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    expect((await ok(["get", "cm", "--chunk-size=7", "-o", "name"])).trim().split("\n")).toHaveLength(30);
    expect((await ok(["get", "cm", "-l", "even=true", "-o", "name"])).trim().split("\n")).toHaveLength(15);
    expect(await ok(["get", "cm", "--field-selector", "metadata.name=part-03", "-o", "name"])).toBe(
      "configmap/part-03\n",
    );
    expect(await ok(["get", "cm", "-A", "--show-labels"])).toMatch(/^default +part-00 +0 +\S+ +even=true$/m);
  });

  test("edits what upstream replaces", async () => {
    await ok(["create", "-f", "-"], configMap("five", { a: "1" }));
    expect(await ok(["replace", "-f", "-"], configMap("five", { a: "2" }))).toBe("configmap/five replaced\n");
    const stale = JSON.parse(configMap("five", { a: "3" }));
    stale.metadata.resourceVersion = "1";
    expect(await refused(["replace", "-f", "-"], JSON.stringify(stale))).toContain("the object has been modified");
  });
});

const deployment = JSON.stringify({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image: "nginx" }] } },
  },
});
