import { rfc3339 } from "#shared/api/time.ts";
import { platform } from "#shared/client/user-agent.ts";
import { builtAt_ms, gitVersion, kubernetesVersion } from "#shared/version.ts";

/** What is known of this build, in the form of version.Info (k8s.io/apimachinery/pkg/version): the answer of /version. */
export function versionInfo(): Readonly<Record<string, string>> {
  const [major = "", minor = ""] = kubernetesVersion.slice(1).split(".");
  return {
    major,
    minor,
    emulationMajor: major,
    emulationMinor: minor,
    minCompatibilityMajor: major,
    minCompatibilityMinor: String(Number(minor) - 1),
    gitVersion: gitVersion(),
    gitCommit: "",
    gitTreeState: "clean",
    buildDate: rfc3339(builtAt_ms),
    goVersion: `bun${Bun.version}`,
    compiler: "bun",
    platform,
  };
}
