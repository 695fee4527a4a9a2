"""BiSSL: the stage between pre-training and fine-tuning."""
