/** HelmChart and HelmChartConfig as users of k3s know them (helm.cattle.io/v1). */
import type { KubeObject } from "./object.ts";
import type { ResourceRef } from "./resource-ref.ts";
import type { PodSecurityContext, SecurityContext } from "./types/core-v1.generated.ts";
import type { Condition } from "./types/meta-v1.generated.ts";

/** Keys of a Secret whose values are YAML; a change of them upgrades the release unless told otherwise. */
export interface ValuesSecret {
  readonly name: string;
  readonly keys: readonly string[];
  readonly ignoreUpdates?: boolean | undefined;
}

export type FailurePolicy = "abort" | "reinstall";

export interface HelmChart extends KubeObject {
  readonly spec?: {
    readonly chart?: string;
    readonly version?: string;
    readonly repo?: string;
    readonly repoCA?: string;
    readonly repoCAConfigMap?: { readonly name: string };
    /** The chart's archive, base64. */
    readonly chartContent?: string;
    readonly targetNamespace?: string;
    readonly createNamespace?: boolean;
    readonly set?: Readonly<Record<string, string | number>>;
    readonly valuesContent?: string;
    readonly valuesSecrets?: readonly ValuesSecret[];
    readonly bootstrap?: boolean;
    readonly takeOwnership?: boolean;
    readonly jobImage?: string;
    readonly backOffLimit?: number;
    readonly timeout?: string;
    readonly failurePolicy?: FailurePolicy;
    readonly authSecret?: { readonly name: string };
    readonly authPassCredentials?: boolean;
    readonly dockerRegistrySecret?: { readonly name: string };
    readonly insecureSkipTLSVerify?: boolean;
    readonly plainHTTP?: boolean;
    readonly podSecurityContext?: PodSecurityContext;
    readonly securityContext?: SecurityContext;
  };
  readonly status?: { readonly jobName?: string; readonly conditions?: readonly HelmChartCondition[] };
}

export type HelmChartCondition = Pick<Condition, "type" | "status"> & Partial<Pick<Condition, "reason" | "message">>;

/** Overrides a HelmChart of the same name and namespace. */
export interface HelmChartConfig extends KubeObject {
  readonly spec?: {
    readonly valuesContent?: string;
    readonly valuesSecrets?: readonly ValuesSecret[];
    readonly failurePolicy?: FailurePolicy;
  };
}

const helmGroup = { group: "helm.cattle.io", version: "v1", namespaced: true } as const;
export const helmCharts: ResourceRef<HelmChart> = { ...helmGroup, kind: "HelmChart", plural: "helmcharts" };
export const helmChartConfigs: ResourceRef<HelmChartConfig> = {
  ...helmGroup,
  kind: "HelmChartConfig",
  plural: "helmchartconfigs",
};
