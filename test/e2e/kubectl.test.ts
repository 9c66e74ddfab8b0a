import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { certificateSigningRequests } from "#shared/api/resources.ts";
import { createCertificateRequest } from "#shared/pki/certificate-request.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { type CommandResult, clientBinaries, runClient } from "../support/kubectl.ts";
import { image, patience_s, startCluster, type TestCluster, webApp } from "./board-cluster.ts";
import { endRunningKubectls, type RunningKubectl, type RunningOptions, runKubectl } from "./running-kubectl.ts";

setDefaultTimeout(600_000);

/** What of kubectl takes a board that runs pods; what takes the API alone is compared with upstream in test/differential. */
describe("kubectl on pods and boards that run", () => {
  let it: TestCluster;
  let pod: string;

  beforeAll(async () => {
    it = await startCluster({ name: "kctl", workers: 2 });
    it.apply(webApp("web", 2));
    it.kubectl("rollout", "status", "deployment/web", "--timeout=180s");
    pod = it.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}");
  });
  afterAll(async () => {
    endRunningKubectls();
    await it.stop();
  });

  const run = (args: readonly string[], input?: string): Promise<CommandResult> =>
    runClient(clientBinaries().kubectl, it.kubeconfig, args, input);
  const running = (args: readonly string[], options?: RunningOptions): RunningKubectl =>
    runKubectl(it.kubeconfig, args, options);
  /** What a script answers to a line; as long as nothing has come, who speaks stays. */
  const say = async (args: readonly string[], script: string): Promise<string> => {
    const session = running([...args, "sh", "-c", script]);
    session.write("\n");
    const [said] = await session.until(/^.+$/m);
    session.end();
    expect(await session.exited).toBe(0);
    return said;
  };
  const nodeOf = (name: string): string => it.kubectl("get", "pod", name, "-o", "jsonpath={.spec.nodeName}");

  test("proxy gives the API and what pods and Services serve", async () => {
    const proxy = running(["proxy", "--port=0"]);
    const [at] = await proxy.until(/127\.0\.0\.1:\d+/);
    const base = `http://${at}`;
    const pods = (await (await fetch(`${base}/api/v1/namespaces/default/pods`)).json()) as { kind: string };
    expect(pods.kind).toBe("PodList");
    const page = async (path: string): Promise<string> => (await (await fetch(`${base}${path}`)).text()).trim();
    expect(await page(`/api/v1/namespaces/default/pods/${pod}:8080/proxy/`)).toBe(pod);
    // Endpoints follow pods that have just become ready.
    await waitFor("the Service's answer", patience_s, async () => {
      const answer = await page("/api/v1/namespaces/default/services/web:80/proxy/");
      return answer.startsWith("web-") || undefined;
    });
    await proxy.interrupt();
  });

  test("cp takes folders both ways", () => {
    const folder = join(it.cluster.dir, "folder");
    mkdirSync(join(folder, "deep/deeper"), { recursive: true });
    writeFileSync(join(folder, "deep/deeper/file"), "x".repeat(100_000));
    writeFileSync(join(folder, "program"), "#!/bin/sh\n");
    chmodSync(join(folder, "program"), 0o755);
    it.kubectl("cp", folder, `${pod}:/tmp/folder`);
    expect(
      it.kubectl("exec", pod, "--", "sh", "-c", "cd /tmp/folder && test -x program && wc -c <deep/deeper/file"),
    ).toBe("100000\n");
    const back = join(it.cluster.dir, "back");
    it.kubectl("cp", `${pod}:/tmp/folder`, back);
    expect(readFileSync(join(back, "deep/deeper/file"), "utf8")).toBe("x".repeat(100_000));
  });

  test("run attaches to what it starts, attach joins it, and a terminal has its size", async () => {
    const script = "read line; echo got $line";
    const ran = await run(
      ["run", "asked", `--image=${image}`, "--rm", "-i", "--restart=Never", "--quiet", "--", "sh", "-c", script],
      "a line\n",
    );
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain("got a line");
    expect((await run(["get", "pod", "asked"])).stderr).toContain("NotFound");

    // However soon they end: what they say is neither lost nor said twice, and nobody waits for more.
    const brief = ["--rm", "-i", "--restart=Never", "--quiet", "--", "sh", "-c", "echo one; echo two; exit 9"];
    const names = ["brief-1", "brief-2", "brief-3", "brief-4", "brief-5", "brief-6"];
    const ends = await Promise.all(names.map((name) => run(["run", name, `--image=${image}`, ...brief])));
    expect(ends.map(({ code, stdout }) => ({ code, stdout }))).toEqual(
      names.map(() => ({ code: 9, stdout: "one\ntwo\n" })),
    );

    it.kubectl(
      "run",
      "listener",
      `--image=${image}`,
      "--stdin",
      "--attach=false",
      "--restart=Never",
      "--command",
      "--",
      "sh",
      "-c",
      script,
    );
    it.kubectl("wait", "pod/listener", "--for=condition=Ready", "--timeout=180s");
    const attached = await run(["attach", "-i", "listener"], "another\n");
    expect(attached.stdout).toContain("got another");
    it.kubectl("wait", "pod/listener", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s");
    expect(it.kubectl("logs", "listener")).toBe("got another\n");

    // The size comes a moment after the shell: sooner than a person types, later than this does.
    const typed = "until stty size | grep '^31 '; do sleep 0.1; done 2>/dev/null; tty; exit 3\n";
    const shell = running(["exec", "-it", pod, "--", "sh"], { terminal: { rows: 31, columns: 87 } });
    shell.write(typed);
    expect(await shell.exited).toBe(3);
    expect(shell.output.replaceAll("\r", "")).toMatch(/^31 87\n(.*\n)*\/dev\/pts\/\d/m);
  });

  test("logs follow, of the container before, since a time, of many pods", async () => {
    // It fails once, and stays then: what runs and what ran before are the same however late they are asked for.
    const script =
      'echo "run $(cat /kept/count 2>/dev/null)"; [ ! -e /kept/count ] || exec sleep 100000; echo again >/kept/count; exit 1';
    it.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "failing", labels: { app: "failing" } },
      spec: {
        volumes: [{ name: "kept", emptyDir: {} }],
        containers: [
          { name: "main", image, command: ["sh", "-c", script], volumeMounts: [{ name: "kept", mountPath: "/kept" }] },
          { name: "beside", image, command: ["sh", "-c", "echo beside; sleep 100000"] },
        ],
      },
    });
    await it.until(
      /^[1-9]/,
      "get",
      "pod",
      "failing",
      "-o",
      "jsonpath={.status.containerStatuses[?(@.name=='main')].restartCount}",
    );
    await it.until(/^run again\n$/, "logs", "failing", "-c", "main");
    expect(it.kubectl("logs", "failing", "-c", "main", "--previous")).toBe("run \n");
    expect(it.kubectl("logs", "failing", "--all-containers", "--prefix")).toContain("[pod/failing/beside] beside");
    expect(it.kubectl("logs", "-l", "app=web", "--tail=1").match(/started/g)).toHaveLength(2);
    expect(it.kubectl("logs", pod, "--since=1s")).toBe("");
    expect(it.kubectl("logs", pod, "--timestamps")).toMatch(/^\d{4}-\d\d-\d\dT\S+Z started/);
    it.kubectl("delete", "pod", "failing", "--now", "--wait");
    expect((await run(["get", "pod", "failing"])).stderr).toContain("NotFound");

    it.kubectl(
      "run",
      "talker",
      `--image=${image}`,
      "--restart=Never",
      "--command",
      "--",
      "sh",
      "-c",
      "until [ -e /tmp/asked ]; do sleep 0.1; done; for i in 1 2 3; do sleep 1; echo $i; done",
    );
    it.kubectl("wait", "pod/talker", "--for=jsonpath={.status.phase}=Running", "--timeout=180s");
    const followed = run(["logs", "-f", "talker"]);
    it.kubectl("exec", "talker", "--", "touch", "/tmp/asked");
    expect((await followed).stdout).toBe("1\n2\n3\n");
  });

  test("debug adds a container to a pod, copies a pod, and looks at a board", async () => {
    const looked = await say(
      ["debug", pod, `--image=${image}`, "--target=web", "-i", "--quiet", "--profile=general", "--"],
      "read line; tr '\\0' ' ' </proc/1/cmdline",
    );
    expect(looked).toStartWith("httpd ");
    expect(it.kubectl("get", "pod", pod, "-o", "jsonpath={.spec.ephemeralContainers[*].targetContainerName}")).toBe(
      "web",
    );

    it.kubectl("debug", pod, "--copy-to=copy", "--container=web", "--", "sleep", "100000");
    it.kubectl("wait", "pod/copy", "--for=jsonpath={.status.phase}=Running", "--timeout=180s");
    expect(it.kubectl("exec", "copy", "--", "cat", "/proc/1/cmdline")).toContain("sleep");
    it.kubectl("delete", "pod", "copy", "--now");

    const node = nodeOf(pod);
    const onNode = await say(
      ["debug", `node/${node}`, `--image=${image}`, "-i", "--quiet", "--profile=sysadmin", "--"],
      "read line; cat /host/etc/hostname",
    );
    expect(onNode).toBe(node);
    it.kubectl("delete", "pods", "--field-selector", "status.phase=Succeeded", "--wait");
  });

  test("events are listed and watched, and cluster-info dump has all", async () => {
    expect(it.kubectl("events", "--for", `pod/${pod}`, "--types=Normal")).toContain("Started");
    const watching = running(["events", "--watch", "--for", "pod/eventful"]);
    it.kubectl("run", "eventful", `--image=${image}`, "--", "sleep", "100000");
    await watching.until(/Started/);
    await watching.interrupt();
    it.kubectl("delete", "pod", "eventful", "--now");
    expect(it.kubectl("cluster-info")).toContain("CoreDNS is running at");
    const folder = join(it.cluster.dir, "dump");
    it.kubectl("cluster-info", "dump", `--output-directory=${folder}`);
    expect(readFileSync(join(folder, "default", pod, "logs.txt"), "utf8")).toContain("started");
  });

  test("a certificate that is asked for, approved and issued signs in; a denied one is not issued", async () => {
    const { requestPem, keyPem } = await createCertificateRequest({ commonName: "jane", organizations: ["makers"] });
    for (const name of ["jane", "refused"])
      await it.client.create(certificateSigningRequests, {
        apiVersion: "certificates.k8s.io/v1",
        kind: "CertificateSigningRequest",
        metadata: { name },
        spec: {
          request: Buffer.from(requestPem).toString("base64"),
          signerName: "kubernetes.io/kube-apiserver-client",
          expirationSeconds: 3600,
          usages: ["client auth"],
        },
      });
    it.kubectl("certificate", "approve", "jane");
    it.kubectl("certificate", "deny", "refused");
    const issued = await it.until(/^.+$/, "get", "csr", "jane", "-o", "jsonpath={.status.certificate}");
    const [key, certificate] = [join(it.cluster.dir, "jane.key"), join(it.cluster.dir, "jane.crt")];
    writeFileSync(key, keyPem);
    writeFileSync(certificate, Buffer.from(issued, "base64"));
    it.kubectl("create", "rolebinding", "makers", "--clusterrole=view", "--group=makers");
    const as = [`--client-key=${key}`, `--client-certificate=${certificate}`];
    expect(it.kubectl(...as, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")).toBe("jane");
    expect(it.kubectl(...as, "get", "pods", "-o", "name")).toContain(`pod/${pod}`);
    expect(() => it.kubectl(...as, "delete", "pod", pod)).toThrow("forbidden");
    expect(it.kubectl("get", "csr", "refused", "-o", "jsonpath={.status.certificate}")).toBe("");
    expect(it.kubectl("get", "csr", "refused")).toContain("Denied");
  });

  test("apply -k, diff, edit, replace --force, rollout pause and resume and restart", async () => {
    const folder = join(it.cluster.dir, "kustomized");
    mkdirSync(folder);
    writeFileSync(
      join(folder, "app.json"),
      JSON.stringify({ apiVersion: "v1", kind: "List", items: webApp("kept", 1) }),
    );
    writeFileSync(
      join(folder, "kustomization.yaml"),
      "resources: [app.json]\nnamePrefix: my-\nconfigMapGenerator: [{name: settings, literals: [a=b]}]\n",
    );
    it.kubectl("apply", "-k", folder);
    it.kubectl("rollout", "status", "deployment/my-kept", "--timeout=180s");
    expect(it.kubectl("get", "configmap", "-o", "name")).toMatch(/my-settings-/);
    expect(it.kubectl("diff", "-k", folder)).toBe("");
    writeFileSync(
      join(folder, "app.json"),
      JSON.stringify({ apiVersion: "v1", kind: "List", items: webApp("kept", 2) }),
    );
    const differing = await run(["diff", "-k", folder]);
    expect(differing.code).toBe(1);
    expect(differing.stdout).toContain("+  replicas: 2");

    const editor = join(it.cluster.dir, "editor");
    writeFileSync(editor, "#!/bin/sh\nsed -i 's/replicas: 1/replicas: 2/' \"$1\"\n");
    chmodSync(editor, 0o755);
    const edited = Bun.spawnSync(
      [clientBinaries().kubectl, "--kubeconfig", it.kubeconfig, "edit", "deployment", "my-kept"],
      { env: { ...process.env, KUBE_EDITOR: editor } },
    );
    expect(edited.stdout.toString()).toContain("edited");
    await it.until(/^2$/, "get", "deployment", "my-kept", "-o", "jsonpath={.status.readyReplicas}");

    it.kubectl("rollout", "pause", "deployment/my-kept");
    it.kubectl("set", "env", "deployment/my-kept", "A=b");
    expect(it.kubectl("rollout", "history", "deployment/my-kept")).not.toMatch(/^2 /m);
    it.kubectl("rollout", "resume", "deployment/my-kept");
    it.kubectl("rollout", "status", "deployment/my-kept", "--timeout=180s");
    // One of the pods before may be there still, on its way out.
    await it.until(/^b\n$/, "exec", "deployment/my-kept", "--", "sh", "-c", "echo $A");
    it.kubectl("rollout", "restart", "deployment/my-kept");
    it.kubectl("rollout", "status", "deployment/my-kept", "--timeout=180s");
    expect(it.kubectl("rollout", "history", "deployment/my-kept")).toMatch(/^3 /m);

    const file = join(it.cluster.dir, "single.json");
    const uidOf = (): string => it.kubectl("get", "pod", "single", "-o", "jsonpath={.metadata.uid}");
    const single = (seconds: string): string =>
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "single" },
        spec: { terminationGracePeriodSeconds: 1, containers: [{ name: "main", image, command: ["sleep", seconds] }] },
      });
    writeFileSync(file, single("100000"));
    it.kubectl("create", "-f", file);
    const uid = uidOf();
    writeFileSync(file, single("200000"));
    it.kubectl("replace", "--force", "-f", file);
    expect(uidOf()).not.toBe(uid);
    it.kubectl("wait", "pod/single", "--for=condition=Ready", "--timeout=180s");
    it.kubectl("delete", "-k", folder);
    it.kubectl("delete", "pod", "single", "--now");
  });

  test("drain respects a budget, moves pods, and uncordon and taint say who may come", async () => {
    const node = nodeOf(pod);
    it.kubectl("create", "poddisruptionbudget", "web", "--selector=app=web", "--min-available=2");
    await it.until(/^2$/, "get", "pdb", "web", "-o", "jsonpath={.status.currentHealthy}");
    const drain = ["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force"];
    const refused = await run([...drain, "--timeout=8s"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("violate the pod's disruption budget");
    expect(it.kubectl("get", "node", node)).toContain("SchedulingDisabled");
    it.kubectl("patch", "pdb", "web", "--type=merge", "-p", '{"spec":{"minAvailable":1}}');
    it.kubectl(...drain, "--timeout=180s");
    it.kubectl("rollout", "status", "deployment/web", "--timeout=180s");
    const nodes = it.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].spec.nodeName}").split(" ");
    expect(nodes).not.toContain(node);

    it.kubectl("taint", "node", node, "only=certain:NoSchedule");
    it.kubectl("uncordon", node);
    const chosen = { spec: { nodeSelector: { "kubernetes.io/hostname": node } } };
    it.kubectl("run", "chosen", `--image=${image}`, `--overrides=${JSON.stringify(chosen)}`, "--", "sleep", "100000");
    await it.until(/untolerated taint/, "events", "--for", "pod/chosen");
    it.kubectl("taint", "node", node, "only-");
    it.kubectl("wait", "pod/chosen", "--for=condition=Ready", "--timeout=180s");
    it.kubectl("delete", "pod", "chosen", "--now");
    it.kubectl("delete", "pdb", "web");
  });
});
