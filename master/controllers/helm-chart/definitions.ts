import { helmChartConfigs, helmCharts } from "#shared/api/helm-chart.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { CustomResourceDefinition, JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";

const string: JSONSchemaProps = { type: "string" };
const boolean: JSONSchemaProps = { type: "boolean" };
const named: JSONSchemaProps = { type: "object", properties: { name: string } };
const open: JSONSchemaProps = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
const failurePolicy: JSONSchemaProps = { type: "string", enum: ["abort", "reinstall"] };
const valuesSecrets: JSONSchemaProps = {
  type: "array",
  items: {
    type: "object",
    properties: { name: string, keys: { type: "array", items: string }, ignoreUpdates: boolean },
  },
};

const chartSpec: Readonly<Record<string, JSONSchemaProps>> = {
  chart: string,
  version: string,
  repo: string,
  repoCA: string,
  repoCAConfigMap: named,
  chartContent: string,
  targetNamespace: string,
  createNamespace: boolean,
  set: { type: "object", additionalProperties: { "x-kubernetes-int-or-string": true } },
  valuesContent: string,
  valuesSecrets,
  bootstrap: boolean,
  takeOwnership: boolean,
  helmVersion: string,
  jobImage: string,
  backOffLimit: { type: "integer", format: "int32" },
  timeout: string,
  failurePolicy,
  authSecret: named,
  authPassCredentials: boolean,
  dockerRegistrySecret: named,
  insecureSkipTLSVerify: boolean,
  plainHTTP: boolean,
  podSecurityContext: open,
  securityContext: open,
};

const chartStatus: JSONSchemaProps = {
  type: "object",
  properties: {
    jobName: string,
    conditions: {
      type: "array",
      items: {
        type: "object",
        required: ["type", "status"],
        properties: { type: string, status: string, reason: string, message: string },
      },
    },
  },
};

type Version = CustomResourceDefinition["spec"]["versions"][number];

function definition(
  { group, version, kind, plural }: ResourceRef,
  properties: Record<string, JSONSchemaProps>,
  more: Partial<Version> = {},
): CustomResourceDefinition {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      // With what the API server would add, so that one that is stored compares equal.
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      conversion: { strategy: "None" },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", properties } },
          ...more,
        },
      ],
    },
  };
}

const column = (name: string, jsonPath: string) => ({ name, type: "string", jsonPath });

/** The kinds that the Helm controller serves. */
export const helmDefinitions: readonly CustomResourceDefinition[] = [
  definition(
    helmCharts,
    { spec: { type: "object", properties: { ...chartSpec } }, status: chartStatus },
    {
      subresources: { status: {} },
      additionalPrinterColumns: [
        column("Repo", ".spec.repo"),
        column("Chart", ".spec.chart"),
        column("Version", ".spec.version"),
        column("TargetNamespace", ".spec.targetNamespace"),
        column("Bootstrap", ".spec.bootstrap"),
        column("Failed", '.status.conditions[?(@.type=="Failed")].status'),
        column("Job", ".status.jobName"),
      ],
    },
  ),
  definition(helmChartConfigs, {
    spec: { type: "object", properties: { valuesContent: string, valuesSecrets, failurePolicy } },
  }),
];
