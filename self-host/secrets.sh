#!/bin/sh
# Makes the files that compose.yaml takes its secrets from, in secrets/ beside it. What is there stays; what is
# optional is an empty file, to be filled in. The folder is yours alone, the files can be read by the containers.
set -eu
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets
chmod 700 secrets
random() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }
for name in owner_password app_password license_key_secret api_key_pepper encryption_key audit_signing_key supabase_jwt_secret; do
  [ -e "secrets/$name" ] || random > "secrets/$name"
done
for name in supabase_anon_key supabase_service_key email_api_key stripe_secret_key stripe_webhook_secret \
  gemini_api_keys openai_api_keys groq_api_keys deepseek_api_keys anthropic_api_keys local_api_keys; do
  [ -e "secrets/$name" ] || : > "secrets/$name"
done
chmod 444 secrets/*
