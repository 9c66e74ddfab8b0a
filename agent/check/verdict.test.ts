import { expect, test } from "bun:test";
import { loadSettings } from "#shared/config/load.ts";
import { masterOptions } from "#shared/config/settings.ts";
import { renderSummary, renderVerdict } from "./check.ts";
import type { MachineFacts } from "./facts.ts";
import { probeSettings } from "./settings.ts";
import { judge, type Role, type Verdict } from "./verdict.ts";

const GiB = 1024 ** 3;
const sound: MachineFacts = {
  isRoot: true,
  processor: "Raspberry Pi 4 Model B Rev 1.4 (aarch64)",
  kernel: "6.12.25+rpt-rpi-v8",
  pageSize_bytes: 4096,
  hostName: "pi-1",
  memory_bytes: 4 * GiB,
  swap: [],
  hasZram: false,
  hasDefaultRoute: true,
  kernelFeatures: [
    { name: "VXLAN", weight: "useful", purpose: "subnets", module: "vxlan", state: "present", detail: "" },
    { name: "overlay", weight: "needed", purpose: "images", module: "overlay", state: "present", detail: "" },
  ],
  cgroups: {
    version: 2,
    controllers: ["cpu", "io", "memory", "pids"],
    isWritable: true,
    bootArgumentsFile: "/boot/firmware/cmdline.txt",
    isAskedFor: false,
  },
  runtime: { isCri: false, socket: "/var/run/docker.sock", version: "26.1.5+dfsg1", problem: undefined },
  docker: undefined,
  journal: undefined,
  clockSaves: undefined,
  settings: {
    networks: {
      pods: ["10.42.0.0/16"],
      services: ["10.43.0.0/16"],
      board: [{ name: "eth0", cidr: "192.168.1.7/24" }],
    },
  },
  missingPrograms: [],
  cni: { folders: ["/opt/cni/bin", "/usr/lib/cni"], missingPlugins: [] },
  ports: [{ port: 6443, purpose: "the API server", holder: undefined }],
  disk: { path: "/var/lib", free_bytes: 20 * GiB, freeInodes: 1_000_000, isWritable: true },
  folders: [{ path: "/var/lib/kubelet", setting: "root-dir", purpose: "drivers", isWritable: true }],
  probeFiles: { folder: "/tmp", isInMemory: true },
  clock: { now_ms: 2_000_000, builtAt_ms: 1_000_000 },
  undervoltage: { now: false, sinceBoot: false },
};

function faults(changed: Partial<MachineFacts>, role: Role = "master"): Verdict[] {
  return judge({ ...sound, ...changed }, role).filter(({ level }) => level !== "ok");
}

test("a sound board has nothing to mend", () => {
  expect(faults({})).toEqual([]);
  expect(renderSummary(judge(sound, "worker"), "worker")).toBe("This machine can be a worker.");
});

test("a Pi without the memory cgroup gets the line that mends its own boot file", () => {
  const [fault] = faults({ cgroups: { ...sound.cgroups, controllers: ["cpu", "io", "pids"] } });
  expect(fault?.level).toBe("FAIL");
  expect(fault?.mend).toStartWith(
    "sudo sed -i '1 s/$/ cgroup_enable=memory cgroup_memory=1/' /boot/firmware/cmdline.txt && sudo reboot",
  );
  const asked = { ...sound.cgroups, controllers: ["cpu", "io", "pids"], isAskedFor: true };
  expect(faults({ cgroups: asked })[0]).toMatchObject({ level: "FAIL", mend: "sudo reboot" });
});

test("groups that cannot be written are told of, and stop nothing", () => {
  const [found] = faults({ cgroups: { ...sound.cgroups, isWritable: false } });
  expect(found).toMatchObject({ level: "note", subject: "cgroups" });
  expect(found?.finding).toContain("pods as a whole are not");
});

test("files of exec probes on the card are told, with what moves them; no containerd, no word", () => {
  const [told] = faults({ probeFiles: { folder: "/tmp", isInMemory: false } });
  expect(told).toMatchObject({ level: "note", subject: "exec probes" });
  expect(told?.mend).toContain("INSTALL_BRAMBLE_PROBE_FILES=memory");
  expect(faults({ probeFiles: undefined })).toEqual([]);
});

test("a board of 512 MB is told of compressed memory, if it has none", () => {
  const memory_bytes = 416 * 1024 ** 2;
  expect(faults({ memory_bytes })[0]?.mend).toContain("zram-tools");
  expect(faults({ memory_bytes, hasZram: true })[0]).toMatchObject({ subject: "memory", mend: undefined });
  expect(faults({ memory_bytes }, "worker")).toEqual([]);
});

test("elsewhere the words to add are named", () => {
  const [fault] = faults({
    cgroups: {
      version: 1,
      controllers: ["cpu", "pids"],
      isWritable: true,
      bootArgumentsFile: undefined,
      isAskedFor: false,
    },
  });
  expect(fault?.mend).toContain('"cgroup_enable=memory cgroup_memory=1"');
});

test("a missing feature fails when pods need it, and is noted when only some use it", () => {
  const [vxlan, overlay] = sound.kernelFeatures.map((feature) => ({ ...feature, state: "absent" as const }));
  const found = faults({ kernelFeatures: [vxlan, overlay].filter((feature) => feature !== undefined) });
  expect(found.map(({ level, subject }) => [level, subject])).toEqual([
    ["note", "VXLAN"],
    ["FAIL", "overlay"],
  ]);
  expect(found[1]?.mend).toStartWith("sudo modprobe overlay");
});

test("what could not be tried is no failure", () => {
  const feature = { name: "iptables nat", weight: "needed", purpose: "Services", module: undefined } as const;
  const [found] = faults({ kernelFeatures: [{ ...feature, state: "unknown", detail: "only root can" }] });
  expect(found?.level).toBe("note");
});

test.each([
  ["19.3.1", "FAIL"],
  ["20.9.0", "FAIL"],
  ["20.10.24+dfsg1", "ok"],
  ["29.0.0", "ok"],
])("Docker %s: %s", (version, level) => {
  const verdicts = judge({ ...sound, runtime: { ...sound.runtime, version } }, "worker");
  expect(verdicts.find(({ subject }) => subject === "Docker")?.level).toBe(level as Verdict["level"]);
});

test("no Docker, missing programs and plugins name their packages", () => {
  const found = faults({
    runtime: { isCri: false, socket: "/var/run/docker.sock", version: undefined, problem: "there is no such socket" },
    missingPrograms: [
      { program: "iptables", debianPackage: "iptables", purpose: "Services" },
      { program: "iptables-restore", debianPackage: "iptables", purpose: "Services" },
    ],
    cni: { ...sound.cni, missingPlugins: ["portmap"] },
  });
  expect(found.map(({ mend }) => mend)).toEqual([
    "sudo apt-get install iptables",
    "sudo apt-get install containernetworking-plugins",
    "sudo apt-get install docker.io, then sudo systemctl enable --now docker",
  ]);
});

test("a port held by Bramble is fine, by another program it fails", () => {
  const port = { port: 6443, purpose: "the API server" };
  expect(faults({ ports: [{ ...port, holder: "bramble (PID 7)" }] })).toEqual([]);
  expect(faults({ ports: [{ ...port, holder: "k3s (PID 7)" }] })[0]?.finding).toStartWith("k3s (PID 7) listens there");
});

test("a clock before the program's own making and a weak supply are noted", () => {
  expect(faults({ clock: { now_ms: 0, builtAt_ms: 1 } })[0]?.level).toBe("note");
  expect(faults({ undervoltage: { now: true, sinceBoot: true } })[0]?.finding).toContain("NOW");
});

test("a full card fails, by bytes or by files", () => {
  expect(faults({ disk: { ...sound.disk, free_bytes: 1 } })[0]?.level).toBe("FAIL");
  expect(faults({ disk: { ...sound.disk, freeInodes: 1 } })[0]?.level).toBe("FAIL");
  expect(faults({ disk: { ...sound.disk, isWritable: false } })[0]?.level).toBe("FAIL");
});

test("a folder that cannot be written is named with the setting that moves it", () => {
  const folders = [
    { path: "/var/log", setting: "pod-logs-dir", purpose: "logs", isWritable: false },
    { path: "/var/lib/kubelet", setting: "root-dir", purpose: "drivers", isWritable: true },
  ];
  const found = faults({ folders });
  expect(found.map(({ level, finding }) => [level, finding])).toEqual([["FAIL", "/var/log cannot be written (logs)"]]);
  expect(found[0]?.mend).toStartWith("pod-logs-dir: /DISK/pod-logs-dir/pods in /etc/bramble/config.yaml");
});

test("a verdict is one line, and its mend another", () => {
  expect(renderVerdict({ level: "FAIL", subject: "disk", finding: "full", mend: "empty it" })).toBe(
    "FAIL  disk: full\n        mend: empty it",
  );
});

test("networks of pods and Services that are another's are told before anything begins", () => {
  const shared = { pods: ["10.43.0.0/16"], services: ["10.43.0.0/16"], board: [] };
  expect(faults({ settings: { networks: shared } })).toMatchObject([
    { level: "FAIL", subject: "networks", finding: "pods and Services share addresses of 10.43.0.0/16" },
  ]);
  // As NetworkManager has it for a link that it shares.
  const board = [{ name: "wlan0", cidr: "10.42.0.1/24" }];
  const networks = { pods: ["10.42.0.0/16"], services: ["10.43.0.0/16"], board };
  const finding = "pods are to have addresses of 10.42.0.0/16, as this board's wlan0 has (10.42.0.1/24)";
  expect(faults({ settings: { networks } })).toMatchObject([{ level: "FAIL", finding }]);
  expect(faults({ settings: { networks } }, "worker")).toMatchObject([
    { level: "note", finding: `unless the cluster has others, ${finding}` },
  ]);
  const wide = { ...networks, board: [{ name: "eth0", cidr: "10.1.2.3/8" }] };
  expect(faults({ settings: { networks: wide } })).toMatchObject([{ level: "note", subject: "networks" }]);
});

test("a setting that the agent could not start with is told before anything begins", () => {
  const settings = { ...loadSettings(masterOptions, {}, undefined), dataDir: "/nothing" };
  const found = (more: object): string | undefined => probeSettings({ ...settings, ...more }, "master").problem;
  expect(found({})).toBeUndefined();
  expect(found({ nodeLabel: ["bad label"] })).toBe("node-label: expected KEY=VALUE, got bad label");
  expect(found({ nodeTaint: ["a"] })).toBe("node-taint: expected KEY=VALUE:EFFECT, got a");
  expect(found({ serviceCidr: "10.43.0.0/30" })).toStartWith(
    "service-cidr: the service cluster IP range must be at least 8",
  );
  expect(judge({ ...sound, settings: { problem: "node-label: no" } }, "worker")).toContainEqual(
    expect.objectContaining({ level: "FAIL", subject: "settings", finding: "node-label: no" }),
  );
});
