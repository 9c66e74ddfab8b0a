/** Admission policies whose expressions cost about as much as they may, and objects that they judge. */
import type { OrderedRequest } from "../in-order.ts";

const group = "/apis/admissionregistration.k8s.io/v1";
const configMaps = "/api/v1/namespaces/default/configmaps";

/** Costs 10, and a hundredth of the product of the two lengths. */
const dear =
  "(object.data.t.contains(object.data.u) || true) && (has(object.data.t) || true) && (has(object.data.u) || true)";
/** One more. */
const more = `${dear} && has(object.kind)`;

interface Policy {
  readonly variables?: readonly { readonly name: string; readonly expression: string }[];
  readonly validations: readonly (string | { readonly expression: string; readonly messageExpression?: string })[];
  readonly matchConditions?: readonly string[];
  readonly failurePolicy?: "Ignore";
}

const times = (count: number, expression: string): string[] => new Array<string>(count).fill(expression);

const check = "authorizer.path('/a').check('get').allowed()";

const policies: Readonly<Record<string, Policy>> = {
  "at-its-limit": { validations: [dear] },
  "above-it": { validations: [more] },
  "above-it-and-ignored": { validations: [more], failurePolicy: "Ignore" },
  "two-that-hold-and-one-that-does-not": { validations: [dear, "object.data.t == ''", dear] },
  "nine-and-what-is-left": { validations: [...times(9, dear), "object.data.t.size() > 1"] },
  "ten-for-nine": { validations: times(10, dear) },
  "eleven-of-which-one-does-not-hold": { validations: ["object.data.t == ''", ...times(10, dear)] },
  "each-above-its-limit": { validations: times(11, more) },
  "a-variable-used-often": {
    variables: [{ name: "dear", expression: dear }],
    validations: times(20, "variables.dear"),
  },
  "a-variable-above-its-limit": {
    variables: [{ name: "dear", expression: more }],
    validations: ["variables.dear", "variables.dear || true"],
  },
  "a-variable-and-its-user-within-their-limits": {
    variables: [{ name: "dear", expression: dear }],
    validations: [`${dear.replace(" && (has(object.data.u) || true)", "")} && variables.dear`],
  },
  "variables-of-which-the-last-is-for-too-much": {
    variables: Array.from({ length: 10 }, (_, index) => ({ name: `v${index}`, expression: dear })),
    validations: Array.from({ length: 10 }, (_, index) => `variables.v${index}`),
  },
  "a-message-for-too-much": {
    validations: [{ expression: "object.data.t == ''", messageExpression: `${more} ? 'a' : 'b'` }],
  },
  "messages-for-more-than-is-left": {
    validations: times(12, "object.data.t == ''").map((expression) => ({
      expression,
      messageExpression: `${dear} ? 'a' : 'b'`,
    })),
  },
  "conditions-within-what-they-may": { matchConditions: [dear, dear], validations: ["object.data.t == ''"] },
  "conditions-for-more-than-they-may": { matchConditions: times(3, dear), validations: ["object.data.t == ''"] },
  "a-condition-above-its-limit": { matchConditions: [more], validations: ["object.data.t == ''"] },
  "a-condition-above-its-limit-and-ignored": {
    matchConditions: [more],
    validations: ["object.data.t == ''"],
    failurePolicy: "Ignore",
  },
  "two-checks-of-rights": { validations: [`${check} && ${check}`] },
  "three-checks-of-rights": { validations: [`${check} && ${check} && ${check}`] },
};

const texts = { t: "a".repeat(36_900), u: "b".repeat(2_710) };

function requestsOf(
  name: string,
  { variables, validations, matchConditions, failurePolicy }: Policy,
): OrderedRequest[] {
  const map = (data: object): object => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data });
  const apiVersion = "admissionregistration.k8s.io/v1";
  const policy = {
    apiVersion,
    kind: "ValidatingAdmissionPolicy",
    metadata: { name },
    spec: {
      ...(failurePolicy && { failurePolicy }),
      ...(variables && { variables }),
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: [""],
            apiVersions: ["v1"],
            resources: ["configmaps"],
            operations: ["CREATE"],
            resourceNames: [name],
          },
        ],
      },
      ...(matchConditions && {
        matchConditions: matchConditions.map((expression, index) => ({ name: `c${index}`, expression })),
      }),
      validations: [
        { expression: "!has(object.data.probe)", message: "it is in force" },
        ...validations.map((each) => (typeof each === "string" ? { expression: each } : each)),
      ],
    },
  };
  const binding = {
    apiVersion,
    kind: "ValidatingAdmissionPolicyBinding",
    metadata: { name },
    spec: { policyName: name, validationActions: ["Deny"] },
  };
  const post = (path: string, body: object): Omit<OrderedRequest, "name"> => ({ method: "POST", path, body });
  const create = `${configMaps}?dryRun=All`;
  return [
    { name: `${name}: policy`, ...post(`${group}/validatingadmissionpolicies`, policy), until: 201 },
    { name: `${name}: binding`, ...post(`${group}/validatingadmissionpolicybindings`, binding), until: 201 },
    { name: `${name}: in force`, ...post(create, map({ probe: "", t: "", u: "" })), untilHas: "it is in force" },
    { name, ...post(create, map(texts)) },
  ];
}

export const requests: readonly OrderedRequest[] = Object.entries(policies).flatMap(([name, policy]) =>
  requestsOf(name, policy),
);
