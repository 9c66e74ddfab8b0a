/** What kubectl's commands bring about on boards, beyond what kubectl.test.ts has: containers by name, Services, rollouts. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { image, probe_s, startCluster, type TestCluster } from "./board-cluster.ts";
import { endRunningKubectls, type RunningOptions, runKubectl } from "./running-kubectl.ts";
import { steadyWeb } from "./steady-web.ts";

interface Summary {
  readonly node: object;
  readonly pods: readonly {
    readonly podRef: { readonly name: string };
    readonly "ephemeral-storage": { readonly capacityBytes: number };
    readonly containers: readonly { readonly logs?: { readonly usedBytes: number } }[];
  }[];
}

setDefaultTimeout(600_000);

const second = "docker.io/bramble-test/web:2";
/** A container's own limit in bytes, by control groups of version 2 or 1. */
const showMemoryLimit = [
  "sh",
  "-c",
  "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes",
];

describe("kubectl and what follows from it", () => {
  let it: TestCluster;
  const k = (line: string): string => it.kubectl(...line.split(" "));
  const until = (pattern: RegExp, line: string): Promise<string> => it.until(pattern, ...line.split(" "));
  const running = (line: string, options?: RunningOptions) => runKubectl(it.kubeconfig, line.split(" "), options);
  const file = (name: string, content: string | object): string => {
    const path = join(it.cluster.dir, name);
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    return path;
  };
  const ready = (pod: string): string => k(`wait --for=condition=Ready pod/${pod} --timeout=180s`);

  beforeAll(async () => {
    it = await startCluster({ name: "keff", workers: 1 });
    it.cluster.host("worker-1").exec(["docker", "-H", "unix:///run/docker.sock", "tag", image, second]);
    const side = (name: string): object => ({
      name,
      image,
      command: ["sh", "-c", `echo from ${name}; echo ${name} > /tmp/who; sleep 100000`],
      // Until then it has said nothing yet.
      readinessProbe: { exec: { command: ["test", "-s", "/tmp/who"] }, periodSeconds: 1, timeoutSeconds: probe_s },
      resources: { requests: { memory: "16Mi" }, limits: { memory: "48Mi" } },
    });
    it.apply([
      ...steadyWeb("web", 2),
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "pair" },
        spec: { terminationGracePeriodSeconds: 0, containers: [side("main"), side("beside")] },
      },
    ]);
    k("rollout status deployment/web --timeout=180s");
    ready("pair");
  });
  afterAll(async () => {
    endRunningKubectls();
    await it.stop();
  });

  test("describe shows who has told what of a node and a pod", async () => {
    for (const told of [
      /Normal +Starting +\S+ +kubelet +Starting kubelet\./,
      /Normal +Starting +\S+ +kube-proxy/,
      /Normal +NodeHasSufficientMemory +\S+ +kubelet +Node worker-1 status is now: NodeHasSufficientMemory/,
      /Normal +NodeReady +\S+ +kubelet/,
      /Normal +RegisteredNode +\S+ +node-controller +Node worker-1 event: Registered Node worker-1 in Controller/,
    ])
      await until(told, "describe node worker-1");
    await until(
      /Normal +Scheduled +\S+ +default-scheduler +Successfully assigned default\/pair to worker-1/,
      "describe pod pair",
    );
    const event = "get events --field-selector reason=Scheduled,involvedObject.name=pair -o";
    expect(k(`${event} jsonpath={.items[0].action}:{.items[0].source.component}`)).toBe("Binding:");
    const pairOf = ({ pods }: Summary) => pods.find(({ podRef }) => podRef.name === "pair");
    // What was just written takes room a moment later.
    const said = await it.until(
      (output) => {
        const containers = pairOf(JSON.parse(output) as Summary)?.containers ?? [];
        return containers.length === 2 && containers.every(({ logs }) => (logs?.usedBytes ?? 0) > 0);
      },
      ...["get", "--raw", "/api/v1/nodes/worker-1/proxy/stats/summary"],
    );
    const summary = JSON.parse(said) as Summary;
    expect(Object.keys(summary.node)).toEqual(expect.arrayContaining(["fs", "runtime", "rlimit", "swap", "network"]));
    expect(pairOf(summary)?.["ephemeral-storage"].capacityBytes).toBeGreaterThan(0);
  });

  test("exec, cp and logs take the container that is named, and say so where there is none", async () => {
    expect(k("exec pair -c beside -- cat /tmp/who")).toBe("beside\n");
    expect(k("exec pair -- cat /tmp/who")).toBe("main\n");
    expect(k("exec deployment/web -- hostname")).toMatch(/^web-/);
    expect(() => it.kubectl("exec", "pair", "--", "nothing-there")).toThrow(/exit code 12[67]/);
    k("run waits --image=none:1 --image-pull-policy=Never");
    await until(/ErrImageNeverPull/, "get pod waits");
    const refusal = "error: Internal error occurred: unable to upgrade connection: container not found";
    expect(() => k("exec waits -- true")).toThrow(`${refusal} ("waits")`);
    expect(() => k("logs waits")).toThrow('container "waits" in pod "waits" is waiting to start: ErrImageNeverPull');
    k("delete pod waits --now");
    it.kubectl("cp", file("one", "one\n"), "pair:/tmp/one", "-c", "beside");
    expect(k("exec pair -c beside -- cat /tmp/one")).toBe("one\n");
    expect(() => k("exec pair -c main -- cat /tmp/one")).toThrow("exit code 1");
    await until(/^from beside\n$/, "logs pair -c beside");
    expect(() => k("logs pair -c none")).toThrow("container none is not valid for pod pair");
    expect(() => k("logs pair -c main --previous")).toThrow(
      'previous terminated container "main" in pod "pair" not found',
    );
    const shell = running("exec -it pair -c main -- sh", { terminal: true });
    shell.write("echo $((40 + 2)); exit 5\n");
    await shell.until(/\b42\b/);
    expect(await shell.exited).toBe(5);
  });

  test("a copy for debugging sees the processes of what it copies", async () => {
    k(`debug pair --copy-to=shared --image=${image} -c extra --share-processes --attach=false -- sleep 7777`);
    ready("shared");
    await until(/sleep 7777/, "exec shared -c main -- ps -o args");
    k("delete pod shared --now");
  });

  test("port-forward to a Service and a Deployment takes several connections, and tells of a port that is closed", async () => {
    for (const [target, port] of [
      ["service/web", 80],
      ["deployment/web", 8080],
    ] as const) {
      const forward = running(`port-forward ${target} :${port}`);
      const [, at] = await forward.until(/127\.0\.0\.1:(\d+)/);
      const ask = async (): Promise<string> => (await fetch(`http://127.0.0.1:${at}/`)).text();
      const answers = await Promise.all(Array.from({ length: 8 }, ask));
      expect(new Set(answers).size).toBe(1);
      expect(answers[0]).toMatch(/^web-/);
      await forward.interrupt();
    }
    const closed = running("port-forward pair :9");
    const [, at] = await closed.until(/127\.0\.0\.1:(\d+)/);
    await expect(fetch(`http://127.0.0.1:${at}/`)).rejects.toThrow();
    await closed.until(/error forwarding port 9|connection refused/i);
    await closed.interrupt();
  });

  test("labels choose a Service's pods, expose makes one that answers, resize changes a cgroup", async () => {
    k(`run seen --image=${image} --port=8080 --expose --labels=app=seen -- sleep 100000`);
    ready("seen");
    const ip = k("get pod seen -o jsonpath={.status.podIP}");
    const addresses =
      "get endpointslices -l kubernetes.io/service-name=seen -o jsonpath={.items[*].endpoints[*].addresses[0]}";
    await it.until((found) => found === ip, ...addresses.split(" "));
    k("label pod seen app=hidden --overwrite");
    await until(/^$/, addresses);
    k("delete pod/seen service/seen --now");
    k("expose deployment web --name=shown --port=8081 --target-port=8080");
    await until(/^web-/, "exec deployment/web -- wget -qO- http://shown:8081/");
    k("delete service shown");
    const limits = '{"spec":{"containers":[{"name":"main","resources":{"limits":{"memory":"64Mi"}}}]}}';
    it.kubectl("patch", "pod", "pair", "--subresource=resize", "-p", limits);
    await until(
      /^64Mi$/,
      `get pod pair -o jsonpath={.status.containerStatuses[?(@.name=="main")].resources.limits.memory}`,
    );
    await it.until(new RegExp(`^${64 * 2 ** 20}\n$`), "exec", "pair", "-c", "main", "--", ...showMemoryLimit);
  });

  test("NoExecute ends a pod that does not tolerate it, and no other comes until the taint is gone", async () => {
    k(`run brief --image=${image} -- sleep 100000`);
    ready("brief");
    k("taint node worker-1 oven=hot:NoExecute");
    k("wait --for=delete pod/brief --timeout=180s");
    await until(/untolerated taint/, "get pods -l app=web -o jsonpath={.items[*].status.conditions[*].message}");
    k("taint nodes --all oven-");
    k("rollout status deployment/web --timeout=180s");
  });

  test("rollout: history by revision, undo to one, a status that gives up, resources in the new pods", async () => {
    k(`set image deployment/web web=${second}`);
    k("annotate deployment/web kubernetes.io/change-cause=second");
    k("rollout status deployment/web --timeout=180s");
    await until(/^1\s+<none>\n2\s+second$/m, "rollout history deployment/web");
    expect(k("rollout history deployment/web --revision=2")).toContain(second);
    k("rollout undo deployment/web --to-revision=1");
    k("rollout status deployment/web --timeout=180s");
    expect(k("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}")).toBe(image);
    k("set resources deployment/web --limits=memory=48Mi --requests=memory=32Mi");
    k("rollout status deployment/web --timeout=180s");
    await it.until(new RegExp(`^${48 * 2 ** 20}$`, "m"), "exec", "deployment/web", "--", ...showMemoryLimit);
    k("set image deployment/web web=docker.io/bramble-test/none:1");
    expect(() => k("rollout status deployment/web --timeout=3s")).toThrow("timed out waiting");
    k("rollout undo deployment/web");
    k("rollout status deployment/web --timeout=180s");
  });

  test("logs of all pods are followed by their names; a watch tells what happens to a pod that a terminal runs", async () => {
    // Those of the rollouts before have gone.
    const names = (await until(/^\S+ \S+$/, "get pods -l app=web -o jsonpath={.items[*].metadata.name}")).split(" ");
    const logs = running("logs deployment/web --all-pods --prefix -f");
    for (const name of names) await logs.until(new RegExp(`^\\[pod/${name}/web\\] started$`, "m"));
    await logs.interrupt();

    const watch = running("get pods --watch-only --output-watch-events -l run=brief -v=6");
    await watch.until(/watch=true.*200 OK/);
    const shell = running(`run brief -it --rm --restart=Never --image=${image} -- sh`, { terminal: true });
    shell.write("echo $((40 + 2)); exit 0\n");
    await shell.until(/\b42\b/);
    await shell.until(/pod "brief" deleted/);
    expect(await shell.exited).toBe(0);
    for (const event of ["ADDED", "MODIFIED", "DELETED"]) await watch.until(new RegExp(`^${event} +brief `, "m"));
    await watch.interrupt();
  });

  test("deletion: dependents stay or go first as told, and a pod that does not end is let go", async () => {
    it.apply(steadyWeb("leaving", 1));
    k("rollout status deployment/leaving --timeout=180s");
    const uids = (): string => k("get replicasets,pods -l app=leaving -o jsonpath={.items[*].metadata.uid}");
    const before = uids();
    expect(k("delete deployment leaving --cascade=orphan")).toBe(
      'deployment.apps "leaving" deleted from default namespace\n',
    );
    const set = k("get replicasets -l app=leaving -o name").trim();
    await it.until(/^$/, "get", set, "-o", "jsonpath={.metadata.ownerReferences}");
    expect(uids()).toBe(before);
    k(`delete ${set} --cascade=foreground --timeout=180s`);
    expect(k("get pods -l app=leaving -o name")).toBe("");
    k("delete service leaving");

    const trap = ["--command", "--", "sh", "-c", "trap '' TERM; while :; do sleep 1; done"];
    it.kubectl("run", "stubborn", `--image=${image}`, ...trap);
    ready("stubborn");
    const waiting = running("wait pod/stubborn --for=delete --timeout=180s -v=6");
    await waiting.until(/watch=true.*200 OK/);
    const deletion = running("delete pod stubborn");
    await until(/./, "get pod stubborn -o jsonpath={.metadata.deletionTimestamp}");
    k("delete pod stubborn --force --grace-period=0");
    expect(await deletion.exited).toBe(0);
    expect(await waiting.exited).toBe(0);
    expect(waiting.output).toMatch(/^pod\/stubborn condition met$/m);
  });

  test("rollouts of DaemonSets and StatefulSets: status, history, undo, restart", async () => {
    const template = {
      metadata: { labels: { app: "each" } },
      spec: { terminationGracePeriodSeconds: 0, containers: [{ name: "main", image, command: ["sleep", "100000"] }] },
    };
    const selector = { matchLabels: { app: "each" } };
    for (const kind of ["DaemonSet", "StatefulSet"]) {
      const name = `${kind.toLowerCase()}/each`;
      it.apply({
        apiVersion: "apps/v1",
        kind,
        metadata: { name: "each" },
        spec: { selector, ...(kind === "StatefulSet" && { serviceName: "each" }), template },
      });
      k(`rollout status ${name} --timeout=180s`);
      k(`set image ${name} main=${second}`);
      expect(k(`rollout status ${name} --timeout=180s`)).toMatch(/successfully rolled out|roll out complete/);
      expect(k(`rollout history ${name}`)).toMatch(/^1 +<none>\n2 +<none>$/m);
      k(`rollout undo ${name}`);
      k(`rollout status ${name} --timeout=180s`);
      const images = "jsonpath={.items[*].spec.containers[0].image}";
      expect(it.kubectl("get", "pods", "-l", "app=each", "-o", images)).toBe(image);
      const old = k("get pods -l app=each -o jsonpath={.items[0].metadata.uid}");
      k(`rollout restart ${name}`);
      k(`rollout status ${name} --timeout=180s`);
      await it.until((uid) => uid !== old, "get", "pods", "-l", "app=each", "-o", "jsonpath={.items[0].metadata.uid}");
      k(`delete ${name} --cascade=foreground --timeout=180s`);
    }
  });
});
