#!/usr/bin/env python3
"""synth.py N: a compose file of N services with what large real projects have: anchors, defaults, checks, limits, networks."""
import sys

n = int(sys.argv[1])
out = ["x-logging: &logging", "  driver: json-file", '  options: {max-size: "${LOG_SIZE:-10m}", max-file: "3"}', "services:"]
for i in range(n):
    out += [f"  app-{i}:", f"    image: example.org/team/app-{i % 40}:${{TAG_{i % 30}:-1.{i % 10}}}", "    restart: unless-stopped",
            "    logging: *logging", "    environment:", f"      APP_ID: {i}", "      TZ: ${TZ:-Etc/UTC}",
            f"      DATABASE_URL: postgres://app:${{DB_PASSWORD:-x}}@app-{max(i - 1, 0)}:5432/db{i}",
            f'    ports: ["127.0.0.1:{10000 + i}:8080"]', f"    volumes: [\"data-{i}:/var/lib/app\", \"./conf/{i}:/etc/app:ro\"]",
            "    healthcheck:", '      test: ["CMD-SHELL", "curl -fsS http://localhost:8080/health || exit 1"]', f"      interval: {10 + i % 50}s",
            f"    networks: [net-{i % 20}, shared]", "    deploy:", f"      resources: {{limits: {{cpus: '0.5', memory: {128 * (1 + i % 8)}M}}}}"]
    if i % 5:
        out += ["    depends_on:", f"      app-{i - 1}: {{condition: service_healthy}}"]
out += ["networks:", "  shared:"] + [f"  net-{i}:" for i in range(min(n, 20))] + ["volumes:"] + [f"  data-{i}:" for i in range(n)]
print("\n".join(out))
