/** Requests that Bramble answers otherwise than upstream, on purpose. */
export interface Difference {
  readonly reason: string;
  readonly names: RegExp;
}

export const differences: readonly Difference[] = [
  {
    reason: "a dry run says what the write itself would be told: upstream looks at the range of node ports only then",
    names: /^update of (nodePort|loadBalancer)Service spec\.ports\.0\.nodePort -1$/,
  },
  {
    reason:
      "upstream counts a schema that it cannot keep as a change of the specification, though nothing is stored of it",
    names: /^update of customResourceDefinition spec\.versions\.0\.schema\.openAPIV3Schema\.items ("Bad Value!"|-1)$/,
  },
  {
    reason: "the namespace is looked at once an object is valid; upstream tells of both at a time",
    names: /^status of resourceClaim status\.allocation\.devices\.results\.0\.adminAccess negated$/,
  },
];
