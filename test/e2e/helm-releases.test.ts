/** What Helm does with a cluster on which pods run: hooks, waiting, rollbacks, ownership, large releases. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type CommandResult, clientBinaries, runClient } from "../support/kubectl.ts";
import { image, startCluster, type TestCluster } from "./board-cluster.ts";

setDefaultTimeout(1_800_000);

const chart = resolve(import.meta.dir, "../fixtures/charts/orchard");
const patience = "--timeout=600s";
/** Of what never comes; going back has as long, which it must not need. */
const brief = "--timeout=20s";

describe("Helm's releases", () => {
  let it: TestCluster;
  beforeAll(async () => {
    it = await startCluster({ name: "helmr", workers: 1, takesGuests: true });
  });
  afterAll(() => it?.stop());

  const k = (line: string): string => it.kubectl(...line.split(" "));
  const attempt = (line: string): Promise<CommandResult> =>
    runClient(clientBinaries().helm, it.kubeconfig, line.split(" "));
  const helm = async (line: string): Promise<string> => {
    const { code, stdout, stderr } = await attempt(line);
    if (code !== 0) throw new Error(`helm ${line}: ${stderr}`);
    return stdout;
  };
  /** Of a command that is to fail. */
  const complaint = async (line: string): Promise<string> => {
    const { code, stderr } = await attempt(line);
    expect(code).not.toBe(0);
    return stderr;
  };
  const withChart = (name: string, more = ""): string =>
    `${name} ${chart} --set image=${image} ${patience}${more && ` ${more}`}`;
  /** What hooks and Jobs of a release have said so far, in their order. */
  const said = (release: string): string[] =>
    it.cluster
      .host("worker-1")
      .exec(["cat", `/tmp/hooks/${release}`])
      .trim()
      .split("\n");
  const hookJobs = (release: string): string[] =>
    k(`get jobs -l hook-of=${release} -o name --sort-by=.metadata.name`).trim().split("\n").filter(Boolean);
  /** Helm waits for pods; their board hears a moment later of what their Service leads to. */
  const untilServed = (release: string, text: string): Promise<string> =>
    it.until(
      (output) => output.trim() === text,
      ...`exec deployment/${release} -- timeout 5 wget -qO- http://${release}/`.split(" "),
    );
  /** Which of a release's objects there are. */
  const left = (release: string): string =>
    k(
      `get deployment/${release} service/${release} configmap/${release}-settings tree/${release} --ignore-not-found -o name`,
    );
  const setting = (release: string): string => k(`get configmap ${release}-settings -o jsonpath={.data.text}`);
  const history = async (release: string): Promise<string[]> =>
    (
      JSON.parse(await helm(`history ${release} -o json`)) as {
        revision: number;
        status: string;
        description: string;
      }[]
    ).map(({ revision, status, description }) => `${revision} ${status}: ${description}`);

  test("a release from its first installation to its end: hooks by weight and policy, waiting, tests, rollback", async () => {
    const installed = await helm(`install ${withChart("plum", "--wait --wait-for-jobs --set shed.tool=rake")}`);
    expect(installed).toContain("plum has apples.");
    expect(said("plum")).toEqual([
      "1 pre-install first",
      "1 pre-install second",
      "1 job",
      "1 post-install first",
      "1 post-install second",
    ]);
    expect(hookJobs("plum")).toEqual(["job.batch/plum-post-install-first", "job.batch/plum-pre-install-first"]);
    await untilServed("plum", "apples");
    expect(k("get tree plum -o jsonpath={.spec}")).toBe('{"fruit":"apples","height":2}');
    expect(k("get configmap plum-shed -o jsonpath={.data.tool}")).toBe("rake");
    expect(() => k("get configmap plum-barn")).toThrow("not found");

    const tested = await helm(`test plum --logs ${patience}`);
    expect(tested).toContain("served apples");
    expect(tested).toMatch(/TEST SUITE:\s+plum-test/);
    expect(tested).toMatch(/Phase:\s+Succeeded/);

    const upgrade = "--wait --reuse-values --set text=pears --set barn.enabled=true --set global.place=field";
    await helm(`upgrade ${withChart("plum", upgrade)}`);
    await untilServed("plum", "pears");
    expect(k("get configmap plum-shed -o jsonpath={.data.tool}{.data.global}")).toBe("rakefield");
    expect(k("get configmap plum-barn -o jsonpath={.data.tool}")).toBe("none");
    expect(k("get tree plum -o jsonpath={.spec.fruit}")).toBe("pears");
    expect(() => k("get job plum-1")).toThrow("not found");
    expect(said("plum").filter((line) => line.startsWith("2 ") && line !== "2 job")).toEqual([
      "2 pre-upgrade first",
      "2 pre-upgrade second",
      "2 post-upgrade first",
      "2 post-upgrade second",
    ]);

    await helm(`rollback plum 1 --wait ${patience}`);
    await untilServed("plum", "apples");
    expect(() => k("get configmap plum-barn")).toThrow("not found");
    // A hook is of the revision that is rolled back to.
    expect(said("plum").filter((line) => line.includes("rollback"))).toEqual([
      "1 pre-rollback first",
      "1 pre-rollback second",
      "1 post-rollback first",
      "1 post-rollback second",
    ]);
    expect(await history("plum")).toEqual([
      "1 superseded: Install complete",
      "2 superseded: Upgrade complete",
      "3 deployed: Rollback to 1",
    ]);

    const all = await helm("get all plum");
    for (const part of ["REVISION: 3", "tool: rake", "HOOKS:", "MANIFEST:", "kind: Tree", "plum has apples."])
      expect(all).toContain(part);
    expect(await helm("get values plum --revision 2 -o json")).toContain('"text":"pears"');
    expect(await helm("get manifest plum --revision 2")).toContain("name: plum-barn");
    expect(JSON.parse(await helm("list -o json"))).toMatchObject([{ name: "plum", revision: "3", status: "deployed" }]);
    expect(JSON.parse(await helm("status plum -o json")).info.resources["v1/Pod(related)"]).toBeArray();

    await helm(`uninstall plum --keep-history --wait --cascade=foreground ${patience}`);
    expect(said("plum").slice(-4)).toEqual([
      "1 pre-delete first",
      "1 pre-delete second",
      "1 post-delete first",
      "1 post-delete second",
    ]);
    expect(left("plum")).toBe("");
    expect(k("get pods -l app=plum -o name")).toBe("");
    expect(k("get secret plum-kept -o jsonpath={.metadata.annotations}")).toContain('"helm.sh/resource-policy":"keep"');
    expect(JSON.parse(await helm("list --uninstalled -o json"))).toMatchObject([{ status: "uninstalled" }]);
    await helm(`rollback plum 2 --wait ${patience}`);
    await untilServed("plum", "pears");
    await helm(`uninstall plum --wait ${patience}`);
    expect(k("get secret -l owner=helm,name=plum -o name")).toBe("");
    expect(k("get crd trees.orchard.example.com -o name")).toBe(
      "customresourcedefinition.apiextensions.k8s.io/trees.orchard.example.com\n",
    );
  });

  test("what fails: hooks, pods that never become ready, objects that are refused; and what goes back by itself", async () => {
    const hook = await complaint(`install ${withChart("fig", "--set failing=pre-install-second")}`);
    expect(hook).toContain("failed pre-install");
    expect(hook).toMatch(/fig-pre-install-second/);
    expect(await history("fig")).toEqual([expect.stringContaining("1 failed: ")]);
    expect(() => k("get deployment fig")).toThrow("not found");
    // One that is only deleted when it succeeds can be looked at.
    expect(hookJobs("fig")).toEqual(["job.batch/fig-pre-install-first", "job.batch/fig-pre-install-second"]);
    expect(said("fig")).toEqual(["1 pre-install first", "1 pre-install second"]);

    await helm(`upgrade --install ${withChart("fig", "--wait --wait-for-jobs")}`);
    await untilServed("fig", "apples");
    const late = await complaint(
      `upgrade ${withChart("fig", `--no-hooks --rollback-on-failure --set text=late,isReady=false ${brief}`)}`,
    );
    expect(late).toMatch(/rolled back/);
    expect(setting("fig")).toBe("apples");
    k("rollout status deployment/fig --timeout=180s");
    await untilServed("fig", "apples");
    expect((await history("fig")).slice(-2)).toEqual([
      expect.stringContaining("3 failed: "),
      "4 deployed: Rollback to 2",
    ]);

    const refused = await complaint(
      `upgrade ${withChart("fig", "--cleanup-on-fail --set text=no,broken=No_Such_Name")}`,
    );
    expect(refused).toContain("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters");
    expect((await history("fig")).at(-1)).toStartWith("5 failed: ");
    const failing = await complaint(`upgrade ${withChart("fig", "--set text=no,failing=post-upgrade-first --wait")}`);
    expect(failing).toContain("post-upgrade hooks failed");
    await helm(`rollback fig --wait ${patience} 4`);
    await untilServed("fig", "apples");

    const gone = await complaint(
      `install ${withChart("quince", `--no-hooks --rollback-on-failure --set isReady=false ${brief}`)}`,
    );
    expect(gone).toMatch(/uninstalled due to/);
    expect(JSON.parse(await helm("list -o json"))).toMatchObject([{ name: "fig" }]);
    expect(left("quince")).toBe("");
    await helm(`uninstall fig --wait ${patience}`);
  });

  test("rendering on the server: lookup, capabilities, and a dry run that validates and changes nothing", async () => {
    await helm(`install ${withChart("pear", "--no-hooks")}`);
    const looked = await helm(`upgrade ${withChart("pear", "--dry-run=server --set text=other,lookUp=true")}`);
    expect(looked).toContain("found: apples");
    expect(looked).toContain(`nodes: "${k("get nodes -o name").trim().split("\n").length}"`);
    expect(looked).toContain('none: "{}"');
    expect(looked).toContain('trees: "true"');
    expect(looked).toMatch(/version: v1\.35\.\d+/);
    expect(setting("pear")).toBe("apples");
    const offline = await helm(`upgrade ${withChart("pear", "--dry-run=client --set text=other,lookUp=true")}`);
    expect(offline).toContain("found: nothing");
    expect(await history("pear")).toHaveLength(1);
    await helm(`uninstall pear --no-hooks --wait ${patience}`);
  });

  test("what people changed: merged by the client, refused or taken by the server, owned by who applied it", async () => {
    await helm(`install ${withChart("lime", "--no-hooks --server-side=false")}`);
    k("annotate deployment lime by=hand");
    k("set env deployment/lime MORE=yes");
    k("scale deployment lime --replicas=2");
    it.kubectl("patch", "configmap", "lime-settings", "-p", '{"data":{"own":"mine","text":"edited"}}');
    await helm(`upgrade ${withChart("lime", "--no-hooks --server-side=false --set text=limes")}`);
    const env = "jsonpath={.spec.template.spec.containers[0].env[*].name} {.metadata.annotations.by} {.spec.replicas}";
    expect(it.kubectl("get", "deployment", "lime", "-o", env)).toBe("TEXT MORE hand 1");
    expect(k("get configmap lime-settings -o jsonpath={.data.text}{.data.own}")).toBe("limesmine");

    await helm(`upgrade ${withChart("lime", "--no-hooks --server-side=true --force-conflicts --set text=green")}`);
    expect(setting("lime")).toBe("green");
    const managers = "jsonpath={range .metadata.managedFields[*]}{.manager}/{.operation} {end}";
    expect(it.kubectl("get", "configmap", "lime-settings", "-o", managers)).toContain("helm/Apply");
    it.kubectl("patch", "configmap", "lime-settings", "--type=merge", "-p", '{"data":{"text":"edited"}}');
    const conflict = await complaint(`upgrade ${withChart("lime", "--no-hooks --server-side=true --set text=yellow")}`);
    expect(conflict).toContain('conflict with "kubectl-patch"');
    expect(conflict).toContain(".data.text");
    await helm(`upgrade ${withChart("lime", "--no-hooks --server-side=true --force-conflicts --set text=yellow")}`);
    expect(k("get configmap lime-settings -o jsonpath={.data.text}{.data.own}")).toBe("yellowmine");
    const uid = k("get configmap lime-settings -o jsonpath={.metadata.uid}");
    await helm(`upgrade ${withChart("lime", "--no-hooks --server-side=false --force-replace --set text=red")}`);
    expect(k("get configmap lime-settings -o jsonpath={.metadata.uid}{.data}")).toStartWith(uid);
    expect(setting("lime")).toBe("red");
    await helm(`uninstall lime --no-hooks --wait ${patience}`);
  });

  test("what is there already is not taken, unless that is asked for", async () => {
    k("create configmap sloe-settings --from-literal=text=mine");
    const refused = await complaint(`install ${withChart("sloe", "--no-hooks")}`);
    expect(refused).toContain('ConfigMap "sloe-settings" in namespace "default" exists and cannot be imported');
    await helm(`install ${withChart("sloe", "--no-hooks --take-ownership --force-conflicts")}`);
    expect(setting("sloe")).toBe("apples");
    expect(k("get configmap sloe-settings -o jsonpath={.metadata.labels}")).toContain(
      '"app.kubernetes.io/managed-by":"Helm"',
    );
    const again = await complaint(`install ${withChart("sloe", "--no-hooks")}`);
    expect(again).toContain("cannot reuse a name that is still in use");
    await helm(`uninstall sloe --no-hooks --wait ${patience}`);
    await helm("uninstall sloe --ignore-not-found");
    k("delete secret sloe-kept");
  });

  test("a release near the largest Secret is kept, a larger one refused; other drivers keep it elsewhere", async () => {
    const values = (name: string, bytes: number): string => {
      const path = join(it.cluster.dir, name);
      writeFileSync(path, JSON.stringify({ ballast: randomBytes(bytes).toString("base64") }));
      return path;
    };
    // Base64 packs to what it was made of, and the release is base64 of what is packed.
    const large = `--no-hooks -n big --create-namespace -f ${values("large.json", 770_000)}`;
    await helm(`install ${withChart("melon", large)}`);
    const [size = ""] = it
      .kubectl("get", "secret", "sh.helm.release.v1.melon.v1", "-n", "big", "-o", "go-template={{len .data.release}}")
      .split("\n");
    expect(Number(size)).toBeGreaterThan(1_300_000);
    expect(await helm("get values melon -n big -o json")).toHaveLength(
      readFileSync(join(it.cluster.dir, "large.json"), "utf8").length + `"image":"${image}",`.length + 1,
    );
    await helm(`upgrade ${withChart("melon", `${large} --set text=melons`)}`);
    const tooLarge = await complaint(
      `install ${withChart("gourd", `--no-hooks -n big -f ${values("huge.json", 800_000)}`)}`,
    );
    expect(tooLarge).toContain("data: Too long: may not be more than 1048576 bytes");
    await helm(`rollback melon 1 -n big --no-hooks ${patience}`);
    expect(k("get configmap melon-settings -n big -o jsonpath={.data.text}")).toBe("apples");
    await helm(`uninstall melon -n big --no-hooks --wait ${patience}`);
    k("delete namespace big --timeout=180s");

    const inConfigMaps = { HELM_DRIVER: "configmap" };
    const child = Bun.spawnSync({
      cmd: [clientBinaries().helm, ...`install ${withChart("date", "--no-hooks")}`.split(" ")],
      env: { ...process.env, ...inConfigMaps, KUBECONFIG: it.kubeconfig, HOME: it.cluster.dir },
    });
    expect(child.exitCode).toBe(0);
    expect(k("get configmap -l owner=helm -o name")).toBe("configmap/sh.helm.release.v1.date.v1\n");
  });
});
