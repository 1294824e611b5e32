/// <reference types="vitest/config" />
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// The server that owns the data; only used by `npm run dev`.
const server = process.env['VONG_SERVER'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    outDir: 'dist',
    sourcemap: false,
    // Fonts and the map's worker stay files: a data: address would need a weaker content policy.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1200,
  },
  worker: { format: 'es' },
  server: {
    proxy: {
      '/api': { target: server, ws: true },
      '/map': { target: server },
    },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
