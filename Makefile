# The commands of package.json under the names that some hands type by themselves.

.DEFAULT_GOAL := help
.PHONY: help start dev test test-slow coverage build bench load openapi postman migrate seed reset self-host secrets up down deploy lint audit

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

start: ## everything from a fresh clone to a running worker
	npm start

dev: ## the same, built again whenever a source changes
	npm run dev

test: ## the tests (ONLY=text for some of them)
	npm test $(if $(ONLY),-- --only $(ONLY))

test-slow: ## the slow proofs
	npm run test:slow

coverage: ## the lines that the tests run, as text and as pages
	npm run coverage

build: ## release build and the size of the bundle
	npm run build

bench: ## ratios against a floor measured in the same run
	npm run bench

load: ## load on a running worker (SCENARIO=validate, TOKEN=…)
	npm run load -- $(or $(SCENARIO),validate)

openapi: ## public/openapi.json and the Postman collection, from the code
	npm run openapi

postman: ## a Postman environment for the worker of make start
	npm run postman

migrate: ## the local database's schema
	npm run db:migrate

seed: ## the sample data
	npm run db:seed

reset: ## the local database from nothing
	npm run db:reset

self-host: ## the worker as a folder that runs without Cloudflare
	npm run self-host

secrets: ## the files that the containers take their secrets from
	self-host/secrets.sh

up: secrets ## everything in containers
	docker compose up --detach --build

down: ## the containers stop; what they keep stays
	docker compose down

deploy: ## to Cloudflare
	npm run deploy

lint: ## formatting and clippy
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings

audit: ## advisories, licenses and sources of what is used
	npm audit --audit-level=high
	cargo deny --locked check
