import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { clientBinaries } from "../support/kubectl.ts";
import { guests, image, startCluster, type TestCluster, webApp } from "./board-cluster.ts";

setDefaultTimeout(guests ? 3_600_000 : 400_000);

describe("a cluster of one master and two workers", () => {
  let it: TestCluster;
  beforeAll(async () => {
    it = await startCluster({ name: "e2e", workers: 2, takesGuests: true });
    await it.until(
      (output) => output.split(" ").filter((word) => word === "True").length === 2,
      "get",
      "nodes",
      "-o",
      `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`,
    );
  });
  afterAll(() => it.stop());

  const podNames = (app: string): string[] =>
    it
      .kubectl("get", "pods", "-l", `app=${app}`, "-o", "jsonpath={.items[*].metadata.name}")
      .split(" ")
      .filter(Boolean);
  /** One that serves: not one that a rollout is making or ending. */
  const firstPod = (app: string): string => {
    const { items } = JSON.parse(it.kubectl("get", "pods", "-l", `app=${app}`, "-o", "json")) as { items: Pod[] };
    const serving = items.find(
      ({ metadata, status }) =>
        !metadata.deletionTimestamp &&
        status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
    );
    return serving?.metadata.name ?? "";
  };

  /** What comes from outside has no answer for minutes where it was led to nobody; it is asked anew before. */
  const textOf = async (url: string, more: BunFetchRequestInit = {}): Promise<string> =>
    (await (await fetch(url, { signal: AbortSignal.timeout(5_000), ...more })).text()).trim();
  /** Follows by itself in the end; a refused connection on the way is no answer yet. */
  const eventually = async (holds: () => Promise<boolean>): Promise<void> => {
    while (!(await holds().catch(() => false))) await Bun.sleep(200);
  };

  test("a Deployment comes up with its Service", async () => {
    it.apply(webApp("web", 3));
    it.kubectl("rollout", "status", "deployment/web", "--timeout=180s");
    expect(podNames("web")).toHaveLength(3);
  });

  test("pods reach each other across boards, and the Service by address, name and node port", async () => {
    const client = firstPod("web");
    const ip = it.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}");
    const port = it.kubectl("get", "service", "web", "-o", "jsonpath={.spec.ports[0].nodePort}");
    const pods = podNames("web");
    // Boards hear of what is new one after another.
    const one = (output: string): boolean => pods.includes(output.trim());
    const targets = it.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.podIP}").split(" ");
    for (const url of [
      ...targets.map((target) => `http://${target}:8080/`),
      ...[`http://${ip}/`, "http://web/", "http://web.default.svc.cluster.local/"],
    ])
      await it.until(one, "exec", client, "--", "timeout", "5", "wget", "-qO-", url);
    for (const board of ["101", "102"])
      await eventually(async () => one(await textOf(`http://${it.prefix}.${board}:${port}/`)));
  });

  test("a load balancer's address, an Ingress with TLS, and a policy that keeps pods apart", async () => {
    const client = firstPod("web");
    const pods = podNames("web");
    const metadata = { name: "balanced" };
    const ports = [{ port: 8088, targetPort: 8080 }];
    it.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: { type: "LoadBalancer", selector: { app: "web" }, ports },
    });
    const addresses = ["get", "service", "balanced", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}"];
    const balanced = await it.until((output) => output.split(" ").length === 2, ...addresses);
    for (const address of balanced.trim().split(" ")) {
      await eventually(async () => pods.includes(await textOf(`http://${address}:8088/`)));
    }

    const authority = await createCertificateAuthority("e2e");
    const subject = { commonName: "web.test", dnsNames: ["web.test"] };
    const issued = await issueCertificate(authority, subject, [extendedKeyUsages.serverAuth]);
    const stringData = { "tls.crt": issued.certificatePem, "tls.key": issued.keyPem };
    it.apply({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "web-tls" },
      type: "kubernetes.io/tls",
      stringData,
    });
    it.kubectl("create", "ingress", "web", "--rule=web.test/*=balanced:8088,tls=web-tls");
    for (const board of ["101", "102"]) {
      // The certificate comes from the Secret, which the board reads with its own identity.
      const tls = { ca: authority.certificatePem, serverName: "web.test", checkServerIdentity: () => undefined };
      const ask = (): Promise<string> =>
        textOf(`https://${it.prefix}.${board}/`, { headers: { host: "web.test" }, tls });
      await eventually(async () => pods.includes(await ask()));
    }

    const address = it.kubectl("get", "pod", client, "-o", "jsonpath={.status.podIP}");
    const ask = ["exec", client, "--", "timeout", "3", "wget", "-qO-", "http://balanced:8088/"];
    const others = it
      .kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.podIP}")
      .split(" ")
      .filter((ip) => ip !== address);
    const reaches = (ip: string): boolean => {
      try {
        it.kubectl("exec", client, "--", "timeout", "3", "wget", "-qO-", `http://${ip}:8080/`);
        return true;
      } catch {
        return false;
      }
    };
    await eventually(async () => others.every(reaches));
    const selector = { matchLabels: { app: "web" } };
    const spec = { podSelector: selector, policyTypes: ["Ingress"] };
    it.apply({ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "deny" }, spec });
    await eventually(async () => others.every((ip) => !reaches(ip)));
    it.kubectl("wait", "--for=condition=Ready", "pods", "-l", "app=web", "--timeout=180s");
    it.kubectl("delete", "networkpolicy/deny", "ingress/web");
    await eventually(async () => others.every(reaches));
    await it.until((answer) => pods.includes(answer.trim()), ...ask);
    it.kubectl("delete", "service/balanced", "secret/web-tls");
  });

  test("scale, set image, undo", async () => {
    it.kubectl("scale", "deployment/web", "--replicas=2");
    await it.until(/^2$/, "get", "deployment", "web", "-o", "jsonpath={.status.replicas}");
    it.kubectl("set", "image", "deployment/web", "web=docker.io/bramble-test/none:1");
    await it.until(/ErrImage|ImagePullBackOff/, "get", "pods", "-l", "app=web");
    it.kubectl("rollout", "undo", "deployment/web");
    it.kubectl("rollout", "status", "deployment/web", "--timeout=180s");
    expect(it.kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}")).toBe(
      image,
    );
  });

  test("logs, exec with a code and stdin, cp, port-forward", async () => {
    const pod = firstPod("web");
    expect(it.kubectl("logs", pod)).toContain("started");
    const board = it.kubectl("get", "pod", pod, "-o", "jsonpath={.spec.nodeName}");
    const collected = `cat /var/log/containers/${pod}_default_*.log /var/log/pods/default_${pod}_*/*/0.log`;
    expect(
      it.cluster
        .host(board)
        .exec(["sh", "-c", collected])
        .match(/started/g),
    ).toHaveLength(2);
    expect(it.kubectl("get", "--raw", `/api/v1/nodes/${board}/proxy/logs/containers/`)).toContain(`${pod}_default_`);
    expect(() => it.kubectl("exec", pod, "--", "sh", "-c", "exit 7")).toThrow("exit code 7");
    const echoed = Bun.spawnSync({
      cmd: [clientBinaries().kubectl, "--kubeconfig", it.kubeconfig, "exec", "-i", pod, "--", "cat"],
      stdin: Buffer.from("through stdin"),
    });
    expect(echoed.stdout.toString()).toBe("through stdin");
    const file = join(it.cluster.dir, "copied");
    writeFileSync(file, "x".repeat(200_000));
    it.kubectl("cp", file, `${pod}:/tmp/copied`);
    expect(it.kubectl("exec", pod, "--", "wc", "-c", "/tmp/copied")).toContain("200000");
    const forward = Bun.spawn({
      cmd: [clientBinaries().kubectl, "--kubeconfig", it.kubeconfig, "port-forward", pod, ":8080"],
      stdout: "pipe",
      stderr: "ignore",
    });
    const reader = forward.stdout.getReader();
    const line = new TextDecoder().decode((await reader.read()).value);
    const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    expect((await (await fetch(`http://127.0.0.1:${port}/`)).text()).trim()).toBe(pod);
    forward.kill();
    await forward.exited;
  });

  test("describe, custom columns, sorting, explain", () => {
    expect(it.kubectl("describe", "pod", firstPod("web"))).toContain("Successfully assigned");
    const listing = it.kubectl(
      "get",
      "pods",
      "-A",
      "-o",
      "custom-columns=POD:metadata.name,NODE:spec.nodeName",
      "--sort-by",
      "spec.nodeName",
    );
    expect(listing).toContain("worker-");
    expect(it.kubectl("explain", "deployment.spec.strategy")).toContain("rollingUpdate");
  });

  test("a container killed by hand comes back, and a failing liveness probe restarts it with its event", async () => {
    const pod = firstPod("web");
    const board = it.kubectl("get", "pod", pod, "-o", "jsonpath={.spec.nodeName}");
    const id = it.kubectl("get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].containerID}");
    // From outside: within its PID namespace nobody can kill a container's first process.
    it.cluster.host(board).exec(["docker", "-H", "unix:///run/docker.sock", "kill", id.replace("docker://", "")]);
    await it.until(/^1$/, "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount}");
    await it.until(/^true$/, "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].ready}");
    it.kubectl("exec", pod, "--", "touch", "/tmp/sick");
    await it.until(/^2$/, "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount}");
    await it.until(
      /Liveness probe failed/,
      "get",
      "events",
      "--field-selector",
      `involvedObject.name=${pod},reason=Unhealthy`,
      "-o",
      "jsonpath={.items[*].message}",
    );
  });

  test("pods outlive a kill and a restart of either process and are adopted", async () => {
    const before = it.kubectl(
      "get",
      "pods",
      "-l",
      "app=web",
      "-o",
      "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID}{'\\n'}{end}",
    );
    for (const name of ["worker-1", "worker-2", "master-1"]) {
      const host = it.cluster.host(name);
      for (const signal of ["SIGKILL", "SIGTERM"] as const) {
        await host.stopBramble(signal);
        host.startBramble();
      }
    }
    await it.until(/^2$/, "get", "deployment", "web", "-o", "jsonpath={.status.availableReplicas}");
    await it.until(
      (now) => now === before,
      "get",
      "pods",
      "-l",
      "app=web",
      "-o",
      "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID}{'\\n'}{end}",
    );
  });

  test("Helm installs, upgrades, rolls back and removes a chart", () => {
    const chart = join(import.meta.dir, "../../examples/charts/hello");
    const helm = (...args: string[]): string => {
      const result = Bun.spawnSync({
        cmd: [clientBinaries().helm, "--kubeconfig", it.kubeconfig, ...args],
        stdin: "ignore",
      });
      if (result.exitCode !== 0) throw new Error(`helm ${args.join(" ")}: ${result.stderr}`);
      return result.stdout.toString();
    };
    helm("install", "greet", chart, "--set", "replicas=0");
    helm("upgrade", "greet", chart, "--set", "replicas=0", "--set", "message=hello again");
    helm("rollback", "greet", "1");
    expect(helm("history", "greet")).toContain("Rollback to 1");
    helm("uninstall", "greet");
    expect(it.kubectl("get", "deployments", "-l", "app.kubernetes.io/instance=greet", "-o", "name")).toBe("");
  });

  test("a claim of the default class gets a folder on its pod's board, which goes with it", async () => {
    it.apply([
      {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { name: "data" },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "10Mi" } } },
      },
      writer("first", "echo kept > /data/file"),
    ]);
    await it.until(/^Succeeded$/, "get", "pod", "first", "-o", "jsonpath={.status.phase}");
    const board = it.kubectl("get", "pod", "first", "-o", "jsonpath={.spec.nodeName}");
    const volume = it.kubectl("get", "pvc", "data", "-o", "jsonpath={.spec.volumeName}");
    const path = it.kubectl("get", "pv", volume, "-o", "jsonpath={.spec.local.path}");
    expect(it.cluster.host(board).exec(["cat", `${path}/file`])).toBe("kept\n");
    it.kubectl("delete", "pod", "first");
    it.apply(writer("second", "cat /data/file"));
    await it.until(/^Succeeded$/, "get", "pod", "second", "-o", "jsonpath={.status.phase}");
    expect(it.kubectl("logs", "second")).toBe("kept\n");
    expect(it.kubectl("get", "pod", "second", "-o", "jsonpath={.spec.nodeName}")).toBe(board);
    it.kubectl("patch", "pvc", "data", "-p", '{"spec":{"resources":{"requests":{"storage":"20Mi"}}}}');
    await it.until(/^20Mi$/, "get", "pvc", "data", "-o", "jsonpath={.status.capacity.storage}");
    it.kubectl("delete", "pod/second", "pvc/data");
    await it.until(/^$/, "get", "pv", "-o", "name");
    expect(it.cluster.host(board).exec(["ls", path.slice(0, path.lastIndexOf("/"))])).toBe("");
  });

  test("a cut board is NotReady soon, and Ready again when it is back", async () => {
    const worker = it.cluster.host("worker-2");
    await worker.cut();
    const ready = `jsonpath={.status.conditions[?(@.type=="Ready")].status}`;
    await it.until(/^(False|Unknown)$/, "get", "node", "worker-2", "-o", ready);
    await worker.powerOn();
    worker.startBramble();
    await it.until(/^True$/, "get", "node", "worker-2", "-o", ready);
    await it.until(/^2$/, "get", "deployment", "web", "-o", "jsonpath={.status.availableReplicas}");
  });

  test("deleting takes everything along", async () => {
    it.kubectl("delete", "deployment,service", "web");
    await it.until(/^$/, "get", "pods", "-l", "app=web", "-o", "name");
  });
});

/** A pod that runs one command on the claim `data`. */
function writer(name: string, command: string): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      restartPolicy: "Never",
      containers: [
        {
          name: "main",
          image,
          command: ["sh", "-c", command],
          volumeMounts: [{ name: "data", mountPath: "/data" }],
          // Whoever a pod runs as can write.
          securityContext: { runAsUser: 1000 },
        },
      ],
      volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }],
    },
  };
}
