import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { configMaps, pods } from "#shared/api/resources.ts";
import type { BoardHost } from "#tools/local-cluster/board.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { binary, image, patience_s, probe_s, startCluster, type TestCluster } from "./board-cluster.ts";

setDefaultTimeout(900_000);

/** What is moved to the board's other disk; the rest of it cannot be written. */
const moved = ["data-dir", "root-dir", "pod-logs-dir", "cni-conf-dir"];
const disk = "/mnt";
const endings: Readonly<Record<string, string>> = { "pod-logs-dir": "/pods", "write-kubeconfig": "/kubeconfig.yaml" };
const placeOf = (setting: string): string => `${disk}/${setting}${endings[setting] ?? ""}`;
const flagsOf = (settings: readonly string[]): string[] =>
  settings.flatMap((setting) => [`--${setting}`, placeOf(setting)]);

describe.each([
  { role: "worker", name: "worker-1", settings: moved },
  { role: "master", name: "master-1", settings: [...moved, "write-kubeconfig"] },
])("a $role whose root is read-only, with its agent", ({ role, name, settings }) => {
  const dir = mkdtempSync("/var/tmp/bramble-program-");
  let it: TestCluster;
  let board: BoardHost;

  beforeAll(async () => {
    // A mount over a folder, for Docker's own log is open for writing below it.
    const program = join(dir, "bramble");
    writeFileSync(
      program,
      `#!/bin/sh
set -e
if [ "$1" = ${role} ] && [ ! -e /run/read-only ]; then
  mount -t tmpfs tmpfs ${disk}
  for path in /etc/bramble /etc/cni /opt/cni /var/lib/bramble /var/lib/cni /var/lib/kubelet /var/log; do
    mount --bind "$path" "$path"
    mount -o remount,bind,ro "$path"
  done
  mount -o remount,bind,ro /
  touch /run/read-only
fi
exec ${binary} "$@"
`,
    );
    chmodSync(program, 0o755);
    it = await startCluster({
      name: "ro",
      workers: role === "worker" ? 1 : 0,
      masterAgent: role === "master",
      program,
      [`${role}Args`]: flagsOf(settings),
    });
    board = it.cluster.host(name);
  });
  afterAll(async () => {
    await it?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test("runs pods with volumes, logs and a network", async () => {
    await it.client.create(configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "words", namespace: "default" },
      data: { word: "written\n" },
    });
    const mounts = [
      { name: "words", mountPath: "/words" },
      { name: "own", mountPath: "/own" },
    ];
    await it.client.create(pods, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "here", namespace: "default" },
      spec: {
        nodeName: name,
        terminationGracePeriodSeconds: 1,
        volumes: [
          { name: "words", configMap: { name: "words" } },
          { name: "own", emptyDir: { medium: "Memory" } },
        ],
        containers: [
          {
            name: "main",
            image,
            command: ["sh", "-c", "cat /words/word && cp /words/word /own/ && exec sleep 3600"],
            readinessProbe: { exec: { command: ["test", "-s", "/own/word"] }, timeoutSeconds: probe_s },
            volumeMounts: mounts,
          },
        ],
      },
    });
    await waitFor("the pod to be Ready", patience_s, async () => {
      const { status } = await it.client.get(pods, { namespace: "default", name: "here" });
      return status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") || undefined;
    });
    await it.until(/written/, "logs", "here");
    expect(it.kubectl("exec", "here", "--", "ip", "-o", "address", "show", "eth0")).toContain("10.42.");
  });

  test("has all that it wrote on the other disk", () => {
    expect(() => board.exec(["touch", "/var/lib/kubelet/x"])).toThrow("Read-only");
    expect(() => board.exec(["touch", "/var/lib/x"])).toThrow("Read-only");
    expect(board.exec(["ls", placeOf("root-dir")])).toContain("device-plugins");
    expect(board.exec(["ls", placeOf("pod-logs-dir")])).toContain("default_here_");
    expect(board.exec(["ls", placeOf("cni-conf-dir")])).toContain("bramble");
    if (role === "master") expect(board.exec(["ls", placeOf("data-dir")])).toContain("store");
  });

  test("bramble check names what it could not write, and is content with the settings that move it", async () => {
    const { stdout } = await it.bramble(name, "check", "--role", role);
    for (const path of ["/var/lib/bramble", "/var/lib/kubelet", "/var/log", "/etc/cni/net.d"])
      expect(stdout).toContain(`FAIL  folders: ${path} cannot be written`);
    const after = await it.bramble(name, "check", "--role", role, ...flagsOf(settings));
    expect(after.stdout).toContain("ok    folders: all that are written to can be");
  });
});
