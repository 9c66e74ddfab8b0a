/** What turns the kinds on. */
export const settings = { runtimeConfig: ["admissionregistration.k8s.io/v1beta1=true"] };
