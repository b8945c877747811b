// What draganything.js imports from ComfyUI's own page; it has no types of its own to check against.
declare module "*/scripts/api.js" {
  export const api: any;
}
declare module "*/scripts/app.js" {
  export const app: any;
}
