import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { CommandError, run } from "#tools/local-cluster/run.ts";
import { Vm } from "#tools/local-cluster/vm.ts";
import { clientBinaries } from "../support/kubectl.ts";
import { patience_s, untilSo } from "./patience.ts";

/**
 * What a new user does, on a Debian 13 with systemd, cgroups v2 and Docker as the distribution ships it: install from a
 * release folder, deploy, reboot, uninstall. Emulated, so it takes its time; BRAMBLE_GUEST_LOG names a file for the
 * journal in the end.
 */
setDefaultTimeout(7_200_000);
const root = resolve(import.meta.dir, "../..");

const dir = mkdtempSync("/var/tmp/bramble-guest-");
const vm = new Vm(join(dir, "guest"));
const kubeconfig = join(dir, "kubeconfig");

/** Runs a shell line in the guest and gives what it printed. */
const inGuest = (line: string): string => run(vm.inside(["sh", "-c", line]));

function client(binary: string, ...args: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync({
    cmd: [binary, "--kubeconfig", kubeconfig, ...args],
    stdin: "ignore",
  });
  if (exitCode !== 0) throw new CommandError(args, exitCode, stderr.toString());
  return stdout.toString();
}
const kubectl = (...args: string[]): string => client(clientBinaries().kubectl, ...args);
const helm = (...args: string[]): string => client(clientBinaries().helm, ...args);

const podsOf = (selector: string): Pod[] =>
  (JSON.parse(kubectl("get", "pods", "--selector", selector, "-o", "json")) as { items: Pod[] }).items.filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined,
  );
const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
const untilServing = (count: number): Promise<boolean> =>
  untilSo(`${count} pods of hello`, () => {
    const pods = podsOf("app=hello");
    return pods.length === count && pods.every(isReady);
  });
const containers = (): string[] =>
  podsOf("app=hello")
    .map(({ metadata, status }) => `${metadata.uid} ${status?.containerStatuses?.[0]?.containerID}`)
    .sort();
const rolledOut = (): string => kubectl("rollout", "status", "deployment/hello", `--timeout=${patience_s}s`);
const page = (url: string): string => inGuest(`curl -fsS --retry 10 --retry-all-errors --max-time 60 ${url}`);

beforeAll(async () => {
  const shares = { checkout: root };
  await vm.create({ memory_MiB: 2048, cpus: 2, bare: false, hostname: "debian", shares }, console.log);
  await vm.powerOn();
});

afterAll(async () => {
  const log = process.env["BRAMBLE_GUEST_LOG"];
  if (log !== undefined && vm.powered) writeFileSync(log, inGuest("journalctl --no-pager -o short-monotonic"));
  if (vm.exists) await vm.remove();
  rmSync(dir, { recursive: true });
});

describe("a new user on Debian 13", () => {
  test("the guest is what a Pi is: systemd, cgroups v2, Docker with its own flags", () => {
    // Its ssh answers before all else has started; "degraded" is an end of that too.
    inGuest("systemctl is-system-running --wait || true");
    expect(inGuest("cat /proc/1/comm").trim()).toBe("systemd");
    expect(inGuest("stat -fc %T /sys/fs/cgroup").trim()).toBe("cgroup2fs");
    expect(inGuest("iptables -S FORWARD")).toContain("-P FORWARD DROP");
  });

  test("install.sh from a release folder ends with a Ready node", async () => {
    inGuest("cp -r /mnt/checkout/dist /root/release");
    const output = inGuest(`INSTALL_BRAMBLE_WAIT=${patience_s} /root/release/install.sh`);
    expect(output).toContain("This machine can be a master.");
    expect(output).toContain("the cluster runs, and this board is its Node debian");
    const forLaptops = inGuest("cat /etc/bramble/kubeconfig.yaml");
    // Through the emulator's port; the certificate is good for this address too.
    const here = forLaptops.replace(/server: .*/, `server: "https://127.0.0.1:${vm.apiPort}"`);
    writeFileSync(kubeconfig, here, { mode: 0o600 });
    // A machine as slow as this one may miss heartbeats while it starts.
    await untilSo("the board", () => /debian +Ready.*Debian GNU\/Linux 13/.test(kubectl("get", "nodes", "-o", "wide")));
  });

  test("the example runs, reached by ClusterIP and NodePort", async () => {
    const archives = run([join(root, "tools/images"), "--output", join(dir, "images")]);
    vm.copy(archives.trim().split("\n"), "/root");
    inGuest("bramble images load /root/*.tar");
    kubectl("apply", "-f", join(root, "examples/hello.yaml"));
    rolledOut();
    await untilServing(3);
    const ip = kubectl("get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}");
    const address = kubectl("get", "node", "debian", "-o", "jsonpath={.status.addresses[0].address}");
    for (const url of [`http://${ip}/`, "http://127.0.0.1:30080/", `http://${address}:30080/`])
      expect(page(url)).toContain("stand-in for nginx");
  });

  test("scale, set image, undo", async () => {
    kubectl("scale", "deployment/hello", "--replicas=2");
    await untilServing(2);
    inGuest("docker tag nginx:1.29-alpine nginx:1.28-alpine");
    kubectl("set", "image", "deployment/hello", "web=nginx:1.28-alpine");
    rolledOut();
    kubectl("rollout", "undo", "deployment/hello");
    rolledOut();
    await untilServing(2);
    expect(podsOf("app=hello").map(({ spec }) => spec?.containers[0]?.image)).toEqual(
      Array(2).fill("nginx:1.29-alpine"),
    );
  });

  test("logs -f, exec with a terminal, cp, port-forward", async () => {
    const pod = podsOf("app=hello")[0]?.metadata.name ?? "";
    const base = [clientBinaries().kubectl, "--kubeconfig", kubeconfig];
    // The stand-in logs the probes' requests, two lines for each; a part of them may come first.
    const follow = Bun.spawn({ cmd: [...base, "logs", "-f", pod], stdout: "pipe", stderr: "ignore" });
    const { value } = await follow.stdout.getReader().read();
    expect(new TextDecoder().decode(value)).toMatch(/url:\/|response:200/);
    follow.kill();
    const typed = `${base.join(" ")} exec -it ${pod} -- sh -c "tty; stty size"`;
    // script gives kubectl a terminal; without one `-t` asks for none.
    expect(run(["script", "-qec", typed, "/dev/null"])).toMatch(/\/dev\/pts\/\d+/);
    const file = join(dir, "page");
    writeFileSync(file, "copied\n");
    kubectl("cp", file, `${pod}:/tmp/page`);
    expect(kubectl("exec", pod, "--", "cat", "/tmp/page")).toBe("copied\n");
    const forward = Bun.spawn({ cmd: [...base, "port-forward", pod, ":80"], stdout: "pipe", stderr: "ignore" });
    const line = new TextDecoder().decode((await forward.stdout.getReader().read()).value);
    const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain("stand-in for nginx");
    forward.kill();
    await Promise.all([follow.exited, forward.exited]);
  });

  test("describe, wide, jsonpath, columns, sorting; Helm", () => {
    const pod = podsOf("app=hello")[0]?.metadata.name ?? "";
    expect(kubectl("describe", "pod", pod)).toContain("Successfully assigned");
    expect(kubectl("get", "pods", "-o", "wide")).toContain("debian");
    expect(kubectl("get", "pod", pod, "-o", "yaml")).toContain("kind: Pod");
    const columns = "custom-columns=POD:.metadata.name,NODE:.spec.nodeName";
    expect(kubectl("get", "pods", "-A", "-o", columns, "--sort-by=.metadata.creationTimestamp")).toContain(pod);
    const chart = join(root, "examples/charts/hello");
    helm("install", "greet", chart);
    helm("upgrade", "greet", chart, "--set", "replicas=1");
    helm("rollback", "greet", "1");
    expect(helm("history", "greet")).toContain("Rollback to 1");
    helm("uninstall", "greet");
  });

  test("a killed Bramble is started again by systemd, and its pods are the same", async () => {
    await untilServing(2);
    const before = containers();
    const main = "systemctl show --property=MainPID --value bramble-master";
    const pid = inGuest(main);
    inGuest("systemctl kill --signal=KILL bramble-master");
    await untilSo("another process", () => !["0", pid.trim()].includes(inGuest(main).trim()));
    await untilSo("the API server", () => kubectl("get", "--raw", "/readyz") === "ok");
    await untilSo("the board", () => /debian +Ready/.test(kubectl("get", "nodes")));
    await untilServing(2);
    expect(containers()).toEqual(before);
  });

  test("files of exec probes move off /tmp, and back, while containers go on", async () => {
    const before = containers();
    const runtimeDir = "tr '\\0' '\\n' </proc/$(pidof -s containerd)/environ | grep ^XDG_RUNTIME_DIR= || true";
    const install = `INSTALL_BRAMBLE_WAIT=${patience_s} /root/release/install.sh`;
    for (const [where, shown] of [
      ["memory", "XDG_RUNTIME_DIR=/run"],
      ["none", ""],
      // For the uninstallation to take away.
      ["memory", "XDG_RUNTIME_DIR=/run"],
    ] as const) {
      inGuest(`INSTALL_BRAMBLE_PROBE_FILES=${where} ${install}`);
      expect(inGuest(runtimeDir).trim()).toBe(shown);
    }
    await untilServing(2);
    expect(containers()).toEqual(before);
  });

  test("after a reboot the units come up by themselves, and the pods run again", async () => {
    const before = podsOf("app=hello").map(({ metadata }) => metadata.uid);
    await vm.reboot();
    await untilSo("the unit", () => inGuest("systemctl is-active bramble-master").trim() === "active");
    await untilSo("the API server", () => kubectl("get", "--raw", "/readyz") === "ok");
    await untilSo("the board", () => /debian +Ready/.test(kubectl("get", "nodes")));
    await untilSo("containers of this boot", () => {
      const booted_ms = Number(inGuest("sed -n 's/^btime //p' /proc/stat")) * 1000;
      const started = podsOf("app=hello").map(
        ({ status }) => status?.containerStatuses?.[0]?.state?.running?.startedAt,
      );
      return started.length === 2 && started.every((at) => at !== undefined && Date.parse(at) >= booted_ms);
    });
    await untilServing(2);
    expect(
      podsOf("app=hello")
        .map(({ metadata }) => metadata.uid)
        .sort(),
    ).toEqual(before.sort());
    expect(page("http://127.0.0.1:30080/")).toContain("stand-in for nginx");
  });

  test("uninstalling leaves nothing of it, and all of Docker", () => {
    expect(inGuest("bramble-uninstall.sh")).toContain("stopping bramble-master");
    const left = "docker ps -aq | wc -l; iptables-save; ipset list -n; ip -br link; ip route; ip -br address; mount";
    const output = inGuest(left);
    expect(output).toMatch(/^0\n/);
    expect(output).not.toMatch(/KUBE-|BRAMBLE-|bramble|10\.43\.0\.10/);
    expect(output).toContain("DOCKER-USER");
    const places = "/etc /usr/local /var/lib /var/log /run /opt";
    expect(inGuest(`find ${places} -xdev -iname '*bramble*' ! -path '/run/log/*'`)).toBe("");
    expect(inGuest("docker version >/dev/null && systemctl is-active docker").trim()).toBe("active");
  });
});
