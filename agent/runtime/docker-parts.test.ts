import { describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { Readable } from "node:stream";
import { containerConfig, sandboxConfig } from "./contract/configs.ts";
import {
  type CreateContext,
  containerCreateOptions,
  type SandboxTraits,
  sandboxCreateOptions,
} from "./docker-create.ts";
import { dockerMessage, pullErrorKind } from "./docker-errors.ts";
import { FrameParser } from "./docker-frames.ts";
import { LogText } from "./docker-log-text.ts";
import { attemptOf, containerLabels, containerName, parseLabels, sandboxName } from "./docker-names.ts";
import { jsonLines } from "./json-lines.ts";
import { pauseImageArchive } from "./pause/pause-image.ts";
import { tarArchive } from "./tar.ts";

const frame = (stream: 1 | 2, text: string) => {
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
};

describe("frames", () => {
  test("are found however the bytes are cut", () => {
    const bytes = Buffer.concat([frame(1, "one"), frame(2, "two"), frame(1, ""), frame(1, "three")]);
    for (let size = 1; size <= bytes.length; size++) {
      const parser = new FrameParser();
      let stdout = "";
      let stderr = "";
      for (let at = 0; at < bytes.length; at += size) {
        for (const { stream, data } of parser.push(bytes.subarray(at, at + size))) {
          if (stream === "stdout") stdout += data;
          else stderr += data;
        }
      }
      expect([stdout, stderr]).toEqual(["onethree", "two"]);
    }
  });

  test("what is no frame is refused", () => {
    expect(() => new FrameParser().push(Buffer.from("plain text"))).toThrow(RangeError);
  });

  test("a line in pieces keeps its first stamp only, per stream", async () => {
    const stamp = "2026-01-02T03:04:05.000000001Z ";
    const pieces = [
      frame(1, `${stamp}a`),
      frame(2, `${stamp}err\n`),
      frame(1, `${stamp}b`),
      frame(1, `${stamp}c\n`),
      frame(1, `${stamp}next\n`),
    ];
    const bytes = Buffer.concat(pieces);
    for (let size = 1; size <= bytes.length; size += 7) {
      const text = new LogText({ stream: "stdout", timestamps: true, follow: false });
      for (let at = 0; at < bytes.length; at += size) text.write(bytes.subarray(at, at + size));
      text.end();
      let seen = "";
      for await (const chunk of text) seen += chunk;
      expect(seen).toBe(`${stamp}abc\n${stamp}next\n`);
    }
  });

  test.each([false, true])(
    "lines that come twice while a log is followed are left out, with their stamps or without: %p",
    async (timestamps) => {
      const at = (digit: number): string => `2026-01-02T03:04:05.00000000${digit}Z `;
      const lines = (...texts: readonly (readonly [1 | 2, string])[]) =>
        Buffer.concat(texts.map(([to, text]) => frame(to, text)));
      const bytes = lines(
        [1, `${at(1)}one\n`],
        [2, `${at(1)}another stream\n`],
        // In two pieces.
        [1, `${at(2)}tw`],
        [1, `${at(2)}o\n`],
        [1, `${at(1)}one\n`],
        [1, `${at(2)}tw`],
        [1, `${at(2)}o\n`],
        [1, `${at(3)}three\n`],
        // A clock that was put back.
        [1, `${at(0)}four\n`],
      );
      for (let size = 1; size <= bytes.length; size++) {
        const text = new LogText({ stream: "all", timestamps, follow: true });
        for (let begin = 0; begin < bytes.length; begin += size) text.write(bytes.subarray(begin, begin + size));
        text.end();
        let seen = "";
        for await (const chunk of text) seen += chunk;
        const shown = (digit: number): string => (timestamps ? at(digit) : "");
        expect(seen).toBe(
          `${shown(1)}one\n${shown(1)}another stream\n${shown(2)}two\n${shown(3)}three\n${shown(0)}four\n`,
        );
      }
    },
  );

  test("without digits of a second lines of one stamp are several; what Docker itself says has no stamp", async () => {
    const text = new LogText({ stream: "all", timestamps: false, follow: true });
    for (const line of ["a", "b", "b"]) text.write(frame(1, `2026-01-02T03:04:05Z ${line}\n`));
    text.write(frame(1, "error grabbing logs\n"));
    text.end();
    let seen = "";
    for await (const chunk of text) seen += chunk;
    expect(seen).toBe("a\nb\nb\nerror grabbing logs\n");
  });
});

describe("names and labels", () => {
  const pod = { uid: "u-1", namespace: "ns", name: "web" };

  test("are cri-dockerd's", () => {
    expect(sandboxName(pod, 0)).toBe("k8s_POD_web_ns_u-1_0");
    expect(containerName(pod, "main", 3)).toBe("k8s_main_web_ns_u-1_3");
    expect(attemptOf(["/other", "/k8s_main_web_ns_u-1_3"])).toBe(3);
    expect(attemptOf(["/somebody"])).toBe(0);
  });

  test("come back as they were given", () => {
    const given = { pod, labels: { app: "web" }, annotations: { "io.kubernetes.container.hash": "1a" } };
    const { labels, annotations, pod: parsed } = parseLabels(containerLabels(given, "main", "sandbox"));
    expect(parsed).toEqual(pod);
    expect(annotations).toEqual(given.annotations);
    expect(labels).toMatchObject({ app: "web", "io.kubernetes.container.name": "main" });
    expect(labels["io.kubernetes.sandbox.id"]).toBeUndefined();
  });
});

describe("requests to Docker", () => {
  const context: CreateContext = {
    logBounds: { maxSize_bytes: 1000, maxFiles: 3 },
    negativeOomScoreAdj: true,
    cgroupDriver: "cgroupfs",
    isPodman: false,
  };
  const traits: SandboxTraits = {
    id: "sb",
    hostNetwork: false,
    hostPID: false,
    hostIPC: false,
    shareProcessNamespace: false,
    cgroupParent: "/kubepods/podx",
  };
  const sandbox = sandboxConfig();

  test("a sandbox on the board's network has no host name of its own", () => {
    const options = sandboxCreateOptions(sandboxConfig({ network: "host", hostPID: true, hostIPC: true }), context);
    expect(options.Hostname).toBeUndefined();
    expect(options.HostConfig).toMatchObject({
      NetworkMode: "host",
      PidMode: "host",
      IpcMode: "host",
      UTSMode: "host",
    });
  });

  test("the systemd driver gets a slice's name, cgroupfs a path", () => {
    const cgroupParent = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice";
    const parent = (driver: string) =>
      sandboxCreateOptions(sandboxConfig({ cgroupParent }), { ...context, cgroupDriver: driver }).HostConfig
        ?.CgroupParent;
    expect(parent("systemd")).toBe("kubepods-burstable-podx.slice");
    expect(parent("cgroupfs")).toBe(cgroupParent);
  });

  test("namespaces follow the sandbox; a target's processes may be joined", () => {
    const host = (overrides: Partial<SandboxTraits>, config = {}) =>
      containerCreateOptions(containerConfig(sandbox, "i", config), { ...traits, ...overrides }, context).HostConfig;
    expect(host({})).toMatchObject({
      NetworkMode: "container:sb",
      IpcMode: "container:sb",
      CgroupParent: "/kubepods/podx",
    });
    expect(host({})?.PidMode).toBeUndefined();
    expect(host({ shareProcessNamespace: true })?.PidMode).toBe("container:sb");
    expect(host({}, { pidTargetContainerId: "t" })?.PidMode).toBe("container:t");
    expect(host({ hostPID: true, hostNetwork: true })).toMatchObject({ PidMode: "host", NetworkMode: "host" });
  });

  test("a negative oom_score_adj is given up where it is refused", () => {
    const config = containerConfig(sandbox, "i", { resources: { oomScoreAdj: -997 } });
    const adj = (negativeOomScoreAdj: boolean) =>
      containerCreateOptions(config, traits, { ...context, negativeOomScoreAdj }).HostConfig?.OomScoreAdj;
    expect([adj(true), adj(false)]).toEqual([-997, 0]);
  });

  test("security options", () => {
    const base = containerConfig(sandbox, "i").security;
    const options = (overrides: object) =>
      containerCreateOptions(containerConfig(sandbox, "i", { security: { ...base, ...overrides } }), traits, context);
    expect(options({}).HostConfig?.SecurityOpt).toEqual(["seccomp=unconfined"]);
    expect(options({ seccomp: "runtime/default", noNewPrivileges: true }).HostConfig?.SecurityOpt).toEqual([
      "no-new-privileges",
    ]);
    expect(options({ apparmor: "localhost/mine" }).HostConfig?.SecurityOpt).toContain("apparmor=mine");
    expect(options({ runAsUser: 5, runAsGroup: 6 }).User).toBe("5:6");
    expect(options({ runAsUserName: "nobody" }).User).toBe("nobody");
    expect(options({ maskedPaths: "unmasked" }).HostConfig).toMatchObject({ MaskedPaths: [], ReadonlyPaths: [] });
  });
});

test.each([
  ["manifest for r/x:1 not found: manifest unknown: manifest unknown", "image-not-found"],
  ["pull access denied for x, repository does not exist or may require 'docker login': denied", "image-not-found"],
  ['Head "https://r/v2/x/manifests/1": no basic auth credentials', "image-unauthorized"],
  ["unauthorized: authentication required", "image-unauthorized"],
  ["no matching manifest for linux/arm64/v8 in the manifest list entries", "image-wrong-platform"],
  ['Get "https://r/v2/": dial tcp: lookup r: no such host', "registry-unreachable"],
  ["something new", "other"],
])("%s is %s", (message, kind) => {
  expect(pullErrorKind(message)).toBe(kind as ReturnType<typeof pullErrorKind>);
});

test("Docker's words are told without what its client puts around them", () => {
  const dressed = '(HTTP code 500) server error - Get "http://127.0.0.1:1/v2/": dial tcp - refused ';
  expect(dockerMessage(new Error(dressed))).toBe('Get "http://127.0.0.1:1/v2/": dial tcp - refused');
});

test("JSON lines are found however they are cut", async () => {
  const text = '{"a":"ä"}\n\n{"b":2}\r\n{"c":3}';
  const bytes = Buffer.from(text);
  for (const size of [1, 3, bytes.length]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, (i + 1) * size),
    );
    const lines = [];
    for await (const line of jsonLines(Readable.from(chunks))) lines.push(line);
    expect(lines).toEqual([{ a: "ä" }, { b: 2 }, { c: 3 }]);
  }
});

test("a tar is what tar(1) reads", () => {
  const archive = tarArchive([
    { path: "dir", type: "directory" },
    { path: "dir/file", content: "x".repeat(1000), mode: 0o755 },
    { path: "link", type: "symlink", linkTarget: "dir/file" },
  ]);
  const listed = execFileSync("tar", ["-tvf", "-"], {
    input: archive,
    encoding: "utf8",
    env: { ...process.env, TZ: "UTC" },
  });
  expect(
    listed
      .trim()
      .split("\n")
      .map((line) => line.replace(/\s+/g, " ")),
  ).toEqual([
    "drwxr-xr-x 0/0 0 1970-01-01 00:00 dir/",
    "-rwxr-xr-x 0/0 1000 1970-01-01 00:00 dir/file",
    "lrw-r--r-- 0/0 0 1970-01-01 00:00 link -> dir/file",
  ]);
  expect(() => tarArchive([{ path: "x".repeat(101) }])).toThrow(RangeError);
});

test("there is a pause image for both architectures, and no other", () => {
  for (const architecture of ["amd64", "arm64"])
    expect(pauseImageArchive(architecture).byteLength).toBeLessThan(20_000);
  expect(() => pauseImageArchive("riscv64")).toThrow(RangeError);
});
