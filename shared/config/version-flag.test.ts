import { afterEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { Command } from "commander";
import { gitVersion, gitVersionOf, reportVersion, version } from "#shared/version.ts";
import { versionInfo } from "#shared/version-info.ts";
import { withVersionFlag } from "./version-flag.ts";

afterEach(() => reportVersion(gitVersionOf(version)));

const program = join(import.meta.dir, "../../bramble.ts");
const say = (...args: string[]) => {
  const { status, stdout } = spawnSync(process.execPath, [program, ...args], { encoding: "utf8" });
  return { status, stdout };
};

describe("--version of a component", () => {
  test("prints the version and ends", () => {
    expect(say("scheduler", "--version")).toEqual({ status: 0, stdout: `Kubernetes ${gitVersion()}\n` });
  });

  test("prints all of it as upstream does, with raw", () => {
    const { stdout } = say("controller-manager", "--version=raw");
    expect(stdout).toStartWith(`version.Info{Major:"1", Minor:"35", `);
    expect(stdout).toContain(`, GitVersion:"${gitVersion()}", `);
  });

  const parse = (asked: string) => withVersionFlag(new Command("c")).exitOverride().parse([asked], { from: "user" });

  test("has another one reported", () => {
    parse("--version=v1.35.4-custom.1+build");
    expect(gitVersion()).toBe("v1.35.4-custom.1+build");
    expect(versionInfo()).toMatchObject({ gitVersion: "v1.35.4-custom.1+build", major: "1", minor: "35" });
  });

  test("of false is as without it", () => {
    parse("--version=false");
    expect(gitVersion()).toBe(gitVersionOf(version));
  });
});

test.each(["v1.36.0", "v1.35.3-custom", "v1.35", "custom", "v1.35.4-", "v1.35.4+a+b"])(
  "no other release is reported: %s",
  (asked) => {
    expect(() => reportVersion(asked)).toThrow(/version/);
    expect(gitVersion()).toBe(gitVersionOf(version));
  },
);
