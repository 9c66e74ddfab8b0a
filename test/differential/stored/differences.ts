/** Requests that Bramble answers otherwise than upstream, on purpose. */
export interface Difference {
  readonly reason: string;
  readonly names: RegExp;
}

export const differences: readonly Difference[] = [
  {
    reason: "a Service without the address that its type has is given one by the next write",
    names: /^stored (nodePort|loadBalancer)Service spec unknown field /,
  },
  {
    reason:
      "upstream shows what a Service of a name alone cannot have otherwise than it rests; ours are shown as they rest",
    names: /^stored externalService spec\.(clusterIP|internalTrafficPolicy) "Bad Value!" /,
  },
  {
    reason: "of a policy that is none in any version, those are told that a new pod may have",
    names: /seLinuxChangePolicy":"Sometimes"/,
  },
  {
    reason: "a key that is selected by twice is told of at the place that the newer of upstream's two rules gives",
    names: /"matchLabelKeys":\["a"\],"labelSelector":\{"matchLabels":\{"a":"b"\},"matchExpressions"/,
  },
  {
    reason: "metadata is judged by the same rules with a status as with all else",
    names: /^stored (cronJob metadata\.finalizers|volumeAttachment metadata\.generateName) .* status$/,
  },
  {
    reason: "to be mended: when a device was tainted, upstream adds where the slice does not say",
    names: /^stored resourceSlice spec\.devices\.0\.taints once /,
  },
  {
    reason: "expressions that were accepted once are not judged again while a policy's specification stays as it is",
    names: /^stored validatingAdmissionPolicy spec\.validations\.0\.(expression|messageExpression) .* relabelled$/,
  },
  {
    reason: "no parameters and an empty list of them are the same",
    names: /^stored volumeAttributesClass parameters\.iops missing relabelled$/,
  },
];
